"""What MLflow and the dashboard show of a search: figures, charts and a note."""

from collections.abc import Sequence

from pipeline.horizon.answer import Horizon
from pipeline.study.record import TrialRecord


def metrics(found: Horizon) -> dict[str, float]:
    """Return what the summary of a search shows in MLflow."""
    numbers = {f"horizon/t50_{name}": end for name, end in found.t50.ends.items()}
    numbers |= {f"horizon/t90_{name}": end for name, end in found.t90.ends.items()}
    numbers |= {f"foreseen/t50_{each.budget}": each.median for each in found.foreseen if each.median is not None}
    numbers |= {f"budget/elasticity_{each.budget}": each.median for each in found.elasticity}
    if law := found.learning_time:
        numbers |= {"learning_time/exponent": law.exponent, "learning_time/lower": law.lower}
        numbers |= {"learning_time/upper": law.upper}
    numbers |= {"horizon/p_above": found.p_above, "horizon/p_below": found.p_below, "horizon/slope": found.slope}
    return numbers | {"search/trials": float(found.trials), "search/compute": float(found.compute)}


def solved_by_length(trials: Sequence[TrialRecord]) -> dict[int, dict[str, float]]:
    """Return the share of all replicas that solved each length, for a chart over lengths."""
    at = {length: [trial for trial in trials if trial.length == length] for length in {t.length for t in trials}}
    return {
        length: {"length/solved_share": sum(t.solved for t in same) / sum(t.replicas for t in same)}
        for length, same in sorted(at.items())
    }


def horizon_by_updates(found: Horizon) -> dict[int, dict[str, float]]:
    """Return the horizon at each budget of updates at which it is known, for a chart over updates."""
    return {
        each.budget: {f"budget/t50_{name}": float(end) for name, end in each.ends.items()} for each in found.by_budget
    }
