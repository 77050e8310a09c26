"""The files of a search, written and read: trials.csv, horizon.json, gradients.parquet; and an answer in words."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from numpy import ndarray
from optuna import Study
from optuna.trial import FrozenTrial
from pyarrow import parquet

from pipeline.errors import UserError
from pipeline.horizon.model import STEP, Grid
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Observation, Posterior, posterior
from pipeline.horizon.report import Horizon, horizon_from
from pipeline.horizon.trials import finished, observation, observations_of_rows, trial_rows
from pipeline.learning.signature import majority
from pipeline.tasks.task import Task

REASONS = {
    "interval": "the interval is as narrow as was asked",
    "above": "the horizon lies beyond the longest length",
    "below": "the horizon lies below the shortest length",
    "trials": "the cap on trials was reached",
    "compute": "the cap on compute was reached",
}
VAGUE = 8  # upper / lower limit beyond which a median says more about the prior than about the trials
ENDS = ("median", "lower", "upper")  # of an estimate
PROFILES = ("first", "last")  # recorded updates of which a trial keeps the gradient through time


@dataclass(frozen=True)
class Result:
    """One finished trial with all that is kept of it."""

    ordinal: int
    row: Mapping[str, Any]  # of trials.csv
    seen: Observation
    extra: Mapping[str, Any]  # as `trial.Trial` made it


@dataclass(frozen=True)
class SolvedShare:
    """What the figure of a horizon shows; arrays have one value a length."""

    task: str
    cell: str
    lengths: ndarray  # that were tried
    solved: ndarray  # replicas
    tried: ndarray  # replicas
    grid: ndarray  # lengths of the curve
    median: ndarray  # chance to solve
    lower: ndarray
    upper: ndarray
    places: ndarray  # lengths at which the density of the horizon stands
    density: ndarray  # of the horizon, in octaves
    horizon: Mapping[str, Any]  # horizon.json


@dataclass(frozen=True)
class Course:
    """How a search went; arrays have one value a trial, and the interval is that after it."""

    lengths: ndarray  # that was tried
    shares: ndarray  # of its replicas that solved
    medians: ndarray
    lower: ndarray
    upper: ndarray
    horizon: Mapping[str, Any]  # horizon.json


def read_study(study: Study) -> list[Result]:
    """The finished trials in their order."""
    rows = trial_rows(study)
    return [result_of(trial, row) for trial, row in zip(finished(study), rows, strict=True)]


def result_of(trial: FrozenTrial, row: Mapping[str, Any]) -> Result:
    """A finished trial of a study."""
    extra = trial.user_attrs["extra"]
    flat = {name: value for name, value in row.items() if name != "extra"}
    flat["updates_to_loose_goal"] = json.dumps(extra["updates_to_loose_goal"])
    columns = {**extra["plateau"], "signature": extra["signature"]}
    return Result(int(row["ordinal"]), flat | extra["gradient"] | columns, observation(trial), extra)


def write_trials(path: Path, results: Sequence[Result]) -> None:
    """trials.csv: one row a trial, in their order; what has a value for each replica is a JSON list."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(results[0].row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(result.row for result in results)


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of trials.csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_profiles(path: Path, results: Sequence[Result]) -> None:
    """gradients.parquet: log2 ‖∂L/∂h_t‖ over t, for each trial at its first and its last recorded update."""
    columns: dict[str, list[Any]] = {}
    for result in results:
        for when, profile in zip(PROFILES, result.extra["profiles"], strict=True):
            count = len(profile["steps"])
            same = {"trial": result.ordinal, "length": result.seen.length, "when": when, "update": profile["update"]}
            block = {name: [value] * count for name, value in same.items()} | {"step": profile["steps"]}
            block |= {f"log2_norm_{name}": profile[name] for name in ("median", "least", "greatest")}
            for name, values in block.items():
                columns.setdefault(name, []).extend(values)
    parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def read_profiles(path: Path) -> dict[str, ndarray]:
    """The columns of gradients.parquet."""
    return {name: np.asarray(values) for name, values in parquet.read_table(path).to_pydict().items()}


def horizon_json(
    names: Mapping[str, str], task: Task, found: Horizon, seen: Sequence[Result], search: SearchOptions
) -> dict[str, Any]:
    """The content of horizon.json; `loose` is the horizon of the same trials at the task's easier goal."""
    loose = horizon_from([loosely(result) for result in seen], search)
    return {
        "task": names["task"],
        "cell": names["cell"],
        "goal": task.goal,
        "chance": task.chance,
        "length_min": search.length_min,
        "length_max": search.length_max,
        **found.as_dict(),
        "signature": signature_beyond(seen, found.t50.as_dict()),
        "loose": {"goal": task.loose_goal, "t50": not_below(loose.t50.as_dict(), found.t50.as_dict())},
    }


def signature_beyond(seen: Sequence[Result], t50: Mapping[str, Any]) -> str | None:
    """The commonest signature of the failing trials at the horizon and beyond; None where no replica failed there."""
    begins = t50["median"] or t50["lower"] or 0.0
    return majority([result.extra["signature"] for result in seen if result.seen.length >= begins])


def not_below(loose: Mapping[str, Any], strict: Mapping[str, Any]) -> dict[str, Any]:
    """The estimate at the easier goal, raised to that at the strict one where it is lower: who met one met both."""
    if loose["censored"] or strict["censored"]:
        return dict(strict if strict["censored"] == "above" else loose)
    ends = {name: (loose[name], strict[name]) for name in ("median", "lower", "upper")}
    return {**loose, **{name: a if a is None or b is None else max(a, b) for name, (a, b) in ends.items()}}


def loosely(result: Result) -> Observation:
    """A trial judged by the task's easier goal."""
    updates = tuple(result.extra["updates_to_loose_goal"])
    return replace(result.seen, updates=updates, solved=sum(update is not None for update in updates))


def read_horizon(path: Path) -> dict[str, Any]:
    """horizon.json; raises `UserError` where it is missing or is something else."""
    return _read_json(path, ("task", "cell", "t50", "t90", "by_budget", "loose"))


def read_outcome(path: Path) -> dict[str, Any]:
    """outcome.json of train; raises `UserError` where it is missing or is something else."""
    return _read_json(path, ("task", "cell", "length", "solved", "replicas"))


def read_settings(path: Path) -> dict[str, Any]:
    """settings.json of a search; raises `UserError` where it is missing or is something else."""
    return _read_json(path, ("task", "cell", "training", "search"))


def _read_json(path: Path, names: Sequence[str]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        missing = [name for name in names if name not in content]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} can't be read ({error}); `dvc repro` makes it") from error
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}; `dvc repro` makes it anew")
    return content


def belief(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> Posterior:
    """The posterior of a search, from trials.csv and horizon.json."""
    return posterior(observations_of_rows(rows), Grid(horizon["length_min"], horizon["length_max"]))


def reach(decay: float) -> float | None:
    """ξ = -1 / ln(decay) to three digits: steps in which a gradient falls to 1/e; None where it doesn't fall."""
    return float(f"{-1 / log(decay):.3g}") if 0 < decay < 1 else None


def solved_share(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> SolvedShare:
    """Tried lengths with their counts, and the fitted curve with its band, from trials.csv and horizon.json."""
    seen = observations_of_rows(rows)
    lengths = sorted({trial.length for trial in seen})
    count = {length: [trial for trial in seen if trial.length == length] for length in lengths}
    grid = np.unique(np.geomspace(horizon["length_min"], horizon["length_max"], 200).round().astype(int))
    belief = posterior(seen, Grid(horizon["length_min"], horizon["length_max"]))
    fitted = belief.curve([int(g) for g in grid], horizon["level"])
    return SolvedShare(
        task=horizon["task"],
        cell=horizon["cell"],
        lengths=np.array(lengths),
        solved=np.array([sum(trial.solved for trial in count[length]) for length in lengths]),
        tried=np.array([sum(trial.replicas for trial in count[length]) for length in lengths]),
        grid=fitted.lengths,
        median=fitted.median,
        lower=fitted.lower,
        upper=fitted.upper,
        places=np.exp2(belief.grid.theta),
        density=belief.theta / STEP,
        horizon=horizon,
    )


def course(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> Course:
    """The interval after each trial, from trials.csv and horizon.json."""
    seen, grid = observations_of_rows(rows), Grid(horizon["length_min"], horizon["length_max"])
    beliefs = [posterior(seen[: count + 1], grid) for count in range(len(seen))]
    ends = np.array([belief.interval(horizon["level"]) for belief in beliefs])
    return Course(
        lengths=np.array([trial.length for trial in seen]),
        shares=np.array([trial.solved / trial.replicas for trial in seen]),
        medians=np.exp2([belief.quantile(0.5) for belief in beliefs]),
        lower=np.exp2(ends[:, 0]),
        upper=np.exp2(ends[:, 1]),
        horizon=horizon,
    )


def phrase(estimate: Mapping[str, Any]) -> str:
    """An estimate in words: `58 (46 to 71)`, `above 512`, `below 8`, or one limit where the trials give no more."""
    if estimate["censored"] == "undefined":
        return f"undefined (P = {estimate['probability']:.2f})"
    if estimate["censored"]:
        return f"{estimate['censored']} {(estimate['lower'] or estimate['upper']):.0f}"
    median, lower, upper = (estimate[name] for name in ("median", "lower", "upper"))
    if lower and (upper is None or upper > VAGUE * lower):
        return f"at least {short(lower)}"
    if upper and lower is None:
        return f"at most {short(upper)}"
    return f"{short(median)} ({short(lower)} to {short(upper)})"


def short(value: float | None) -> str:
    """A length with two digits at least and no false precision; a question mark where it is not known."""
    if value is None:
        return "?"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


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


def note(
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
