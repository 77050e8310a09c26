"""What MLflow and the dashboard show of a search: figures, charts and a note."""

from collections.abc import Mapping, Sequence

from pipeline.horizon.answer import Horizon
from pipeline.records.horizon import HorizonRecord
from pipeline.records.wording import REASONS, phrase
from pipeline.study.record import TrialRecord


def metrics(found: Horizon) -> dict[str, float]:
    """What the summary of a search shows in MLflow."""
    numbers = {f"horizon/t50_{name}": end for name, end in found.t50.ends.items()}
    numbers |= {f"horizon/t90_{name}": end for name, end in found.t90.ends.items()}
    numbers |= {"horizon/p_above": found.p_above, "horizon/p_below": found.p_below, "horizon/slope": found.slope}
    return numbers | {"search/trials": float(found.trials), "search/compute": float(found.compute)}


def solved_by_length(trials: Sequence[TrialRecord]) -> dict[int, dict[str, float]]:
    """The share of all replicas that solved each length, for a chart over lengths."""
    at = {length: [trial for trial in trials if trial.length == length] for length in {t.length for t in trials}}
    return {
        length: {"length/solved_share": sum(t.solved for t in same) / sum(t.replicas for t in same)}
        for length, same in sorted(at.items())
    }


def horizon_by_updates(found: Horizon) -> dict[int, dict[str, float]]:
    """The horizon at each budget of updates at which it is known, for a chart over updates."""
    return {
        each.budget: {f"budget/t50_{name}": float(end) for name, end in each.ends.items()} for each in found.by_budget
    }


def note_of(found: HorizonRecord, command: str, origin: Mapping[str, str]) -> str:
    """The description of a search in Markdown, for a reviewer: question, answer, evidence, and the same again."""
    lines = [
        f"### At which length does **{found.cell}** stop learning **{found.task}**?",
        f"\n**Horizon T50: {phrase(found.t50)}** ({found.level:.0%} credible interval); T90: {phrase(found.t90)}.\n",
        f"- A replica has solved a length when its held-out error is below {found.goal} within {found.budget} updates; "
        f"chance is {found.chance:.3g}.",
        f"- {found.trials} trials of {found.replicas} replicas, lengths {found.length_min} to {found.length_max}.",
        f"- The search ended because {REASONS.get(found.reason or '', 'it was cut short')}.",
        *(f"- Warning: {sentence}" for sentence in found.diagnostics),
        "- Under Artifacts: `horizon.svg` (solved share, posterior), `course.svg` (trial by trial), `gradients.svg` "
        "(why); each trial is a nested run.",
        *(f"- {what}: {value}" for what, value in origin.items()),
        f"\nThe same again:\n\n```bash\n{command}\n```",
    ]
    return "\n".join(lines)
