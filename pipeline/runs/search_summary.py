"""What MLflow, DVC and the dashboard show of a search: figures, charts and a note."""

from collections.abc import Mapping, Sequence

from pipeline.horizon.answer import Horizon
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.records.wording import REASONS, phrase
from pipeline.tasks.task import Task

ENDS = ("median", "lower", "upper")  # of an estimate


def metrics(found: Horizon) -> dict[str, float]:
    """What the summary of a search shows in MLflow."""
    numbers = {f"horizon/t50_{name}": getattr(found.t50, name) for name in ENDS}
    numbers |= {f"horizon/t90_{name}": getattr(found.t90, name) for name in ENDS}
    numbers |= {"horizon/p_above": found.p_above, "horizon/p_below": found.p_below, "horizon/slope": found.slope}
    numbers |= {"search/trials": float(found.trials), "search/compute": float(found.compute)}
    return {name: float(value) for name, value in numbers.items() if value is not None}


def headline(found: Horizon) -> dict[str, float | int | str | None]:
    """The content of metrics.json, which `dvc metrics` shows: few values that tell two runs apart."""
    known = [getattr(found.t50, end) for end in ENDS if getattr(found.t50, end) is not None]
    return {
        "horizon": phrase(found.t50.as_dict()),
        "t50": known[0] if known else None,  # the median, or the limit beyond which it lies
        "t90": phrase(found.t90.as_dict()),
        "trials": found.trials,
        "compute": found.compute,
    }


def solved_by_length(seen: Sequence[Observation]) -> dict[int, dict[str, float]]:
    """The share of all replicas that solved each length, for a chart over lengths."""
    count = {length: [trial for trial in seen if trial.length == length] for length in {t.length for t in seen}}
    return {
        length: {"length/solved_share": sum(t.solved for t in trials) / sum(t.replicas for t in trials)}
        for length, trials in sorted(count.items())
    }


def horizon_by_updates(found: Horizon) -> dict[int, dict[str, float]]:
    """The horizon at each budget of updates at which it is known, for a chart over updates."""
    ends = {budget: {f"budget/t50_{end}": getattr(e, end) for end in ENDS} for budget, e in found.by_budget}
    return {
        budget: {name: float(value) for name, value in numbers.items() if value is not None}
        for budget, numbers in ends.items()
    }


def note_of(
    names: Mapping[str, str], task: Task, found: Horizon, search: SearchOptions, command: str, origin: Mapping[str, str]
) -> str:
    """The description of a search in Markdown, for a reviewer: question, answer, evidence, and the same again."""
    cell, question = names["cell"], names["task"]
    lines = [
        f"### At which length does **{cell}** stop learning **{question}**?",
        f"\n**Horizon T50: {phrase(found.t50.as_dict())}** ({found.level:.0%} credible interval); "
        f"T90: {phrase(found.t90.as_dict())}.\n",
        f"- A replica has solved a length when its held-out error is below {task.goal} within {found.budget} updates; "
        f"chance is {task.chance:.3g}.",
        f"- {found.trials} trials of {found.replicas} replicas, lengths {search.length_min} to {search.length_max}.",
        f"- The search ended because {REASONS.get(found.reason or '', 'it was cut short')}.",
        *(f"- Warning: {sentence}" for sentence in found.diagnostics),
        "- Under Artifacts: `horizon.svg` (solved share, posterior), `course.svg` (trial by trial), `gradients.svg` "
        "(why); each trial is a nested run.",
        *(f"- {what}: {value}" for what, value in origin.items()),
        f"\nThe same again:\n\n```bash\n{command}\n```",
    ]
    return "\n".join(lines)
