"""What MLflow and the dashboard show of a search: figures, charts and a note."""

from collections.abc import Sequence
from typing import Any

from optuna import Study

from pipeline.horizon.answer import Horizon
from pipeline.records.horizon import HorizonRecord
from pipeline.records.wording import ninety_phrase, phrase
from pipeline.study.opening import annotate, plot, state
from pipeline.study.record import TrialRecord

WHY = "python -m pipeline.explain task={task} cell={cell} finds out why seeds fail"


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


def show_study(study: Study, trials: Sequence[TrialRecord], found: HorizonRecord, markdown: str, link: str) -> None:
    """Have Optuna's dashboard say the answer on a study's first page, draw it, and describe it."""
    answer = {"task": found.task, "cell": found.cell, "horizon T50": phrase(found.t50), "T90": ninety_phrase(found)}
    state(study, {**answer, "verdict": WHY.format(task=found.task, cell=found.cell), "MLflow": link})
    plot(study, "horizon", share_by_length(trials, found))
    annotate(study, markdown)


def share_by_length(trials: Sequence[TrialRecord], found: HorizonRecord) -> dict[str, Any]:
    """Return the share that solved over the length, with the interval of the horizon, as a figure of plotly."""
    shares = {length: share["length/solved_share"] for length, share in solved_by_length(trials).items()}
    points = {"x": list(shares), "y": list(shares.values()), "mode": "lines+markers", "type": "scatter"}
    known = found.t50.lower is not None and found.t50.upper is not None
    ends = {"x0": found.t50.lower, "x1": found.t50.upper, "y0": 0, "y1": 1, "fillcolor": "#e69f00", "opacity": 0.25}
    layout = {
        "title": {"text": f"{found.cell} on {found.task}: horizon {phrase(found.t50)}"},
        "xaxis": {"type": "log", "title": {"text": "sequence length T"}},
        "yaxis": {"range": [-0.03, 1.03], "title": {"text": "share of the seeds that solve"}},
        "shapes": [{"type": "rect", "line": {"width": 0}, **ends}] if known else [],
    }
    return {"data": [points], "layout": layout}
