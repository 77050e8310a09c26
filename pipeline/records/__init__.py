"""The files of a search, written and read: trials.csv, horizon.json, gradients.parquet; and an answer in words."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow
from numpy import ndarray
from optuna import Study
from optuna.trial import FrozenTrial
from pyarrow import parquet

from pipeline.base.errors import UserError
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.model import STEP, Grid
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Observation, Posterior, posterior
from pipeline.learning.signature import majority
from pipeline.study.trials import finished, observation, observations_of_rows, trial_rows
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
PROFILE = {  # columns of gradients.parquet, and the kinds of numpy's types that they may have
    "when": "UO",
    **dict.fromkeys(("trial", "length", "update", "step"), "iu"),
    **dict.fromkeys(("log2_norm_median", "log2_norm_least", "log2_norm_greatest"), "f"),
}
Rows: TypeAlias = Sequence[Mapping[str, Any]]  # of trials.csv
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
    """The finished trials in their order; raises `UserError` where one is none of a search."""
    try:
        rows = trial_rows(study)
        return [result_of(trial, row) for trial, row in zip(finished(study), rows, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"study {study.study_name} holds a trial of something else ({_why(error)}); search.fresh=true begins anew"
        ) from error


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
    """The rows of trials.csv; raises `UserError` where it is missing or is something else."""
    try:
        text = path.read_text()
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        seen, numbered = observations_of_rows(rows), [int(row["ordinal"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path} can't be read as the trials of a search ({_why(error)}); `dvc repro` makes it"
        ) from error
    complete = text.endswith("\n") and not any(None in row or None in row.values() for row in rows)
    whole = all(0 <= trial.solved <= trial.replicas == len(trial.updates) and trial.length >= 1 for trial in seen)
    if not rows or not complete or not whole or numbered != list(range(len(rows))):
        raise UserError(f"{path} does not hold every trial of a search, whole; `dvc repro` makes it")
    return rows


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
    """The columns of gradients.parquet; raises `UserError` where it is missing or is something else."""
    try:
        found = {name: np.asarray(values) for name, values in parquet.read_table(path).to_pydict().items()}
        wrong = [name for name, kinds in PROFILE.items() if found[name].dtype.kind not in kinds]
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(
            f"{path} can't be read as gradients of a search ({_why(error)}); `dvc repro` makes it"
        ) from error
    if wrong:
        raise UserError(f"{path} has something else than numbers in {', '.join(wrong)}; `dvc repro` makes it")
    return found


def require_same(
    folder: Path,
    horizon: Mapping[str, Any],
    rows: Rows,
    profiles: Mapping[str, ndarray],
    settings: Mapping[str, Mapping[str, Any]],
) -> None:
    """Raise `UserError` where the files of a search, in a folder named TASK-CELL, are not those of one search."""
    named, cost = f"{horizon['task']}-{horizon['cell']}", sum(float(row["cost"]) for row in rows)
    if named != folder.name:
        raise UserError(f"{folder / 'horizon.json'} is of {named}, not of {folder.name}; `dvc repro` makes it anew")
    if (len(rows), cost) != (horizon["trials"], horizon["compute"]):
        raise UserError(f"{folder / 'trials.csv'} holds other trials than horizon.json is of; `dvc repro` makes it")
    same = [horizon[name] == told for name, told in _told(settings).items()]
    if not all(same):
        raise UserError(f"{folder / 'settings.json'} is of another search than horizon.json; `dvc repro` makes it")
    lengths = {(int(row["ordinal"]), int(row["length"])) for row in rows}
    if lengths != set(zip(profiles["trial"].tolist(), profiles["length"].tolist(), strict=True)):
        raise UserError(f"{folder / 'gradients.parquet'} is of other trials than trials.csv; `dvc repro` makes it")


def _told(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What horizon.json tells of the settings of its search."""
    search = {name: settings["search"][name] for name in ("length_min", "length_max", "replicas", "level")}
    return {**search, "budget": settings["training"]["updates"], "goal": settings["task"]["goal"]}


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
    return read_json(path, ("task", "cell", "t50", "t90", "by_budget", "loose"), _use_horizon)


def _use_horizon(horizon: Mapping[str, Any]) -> None:
    """Say what is said of a horizon; raises some error where it can't be said."""
    for estimate in (horizon["t50"], horizon["t90"], horizon["loose"]["t50"], *horizon["by_budget"]):
        phrase(estimate)
    if horizon.get("tuned"):
        _use_tuned(horizon["tuned"])
        f"{horizon['tuned']['cost'] / horizon['compute']:g}"
    for name in ("goal", "chance", "level", "compute"):
        f"{horizon[name]:g}"
    for name in ("length_min", "length_max", "budget", "replicas", "trials"):
        f"{horizon[name]:d}"
    f"{horizon['loose']['goal']:g}"
    for name in ("task", "cell"):
        f"{horizon[name]:s}"
    "".join(horizon["diagnostics"])


def _use_tuned(tuned: Mapping[str, Any]) -> None:
    """Say what is said of the choice of settings."""
    phrase(tuned["plain"])
    f"{tuned['lr']:g} {tuned['study']:s}"
    curve = tuned["curve"]
    f"{curve['length']:d} {curve['seeds']:d}"
    for rate, solved in zip(curve["rates"], curve["solved"], strict=True):
        f"{rate:g} {solved:d}"


def read_outcome(path: Path) -> dict[str, Any]:
    """outcome.json of train; raises `UserError` where it is missing or is something else."""
    return read_json(path, ("task", "cell", "length", "solved", "replicas"), _use_outcome)


def _use_outcome(outcome: Mapping[str, Any]) -> None:
    for name in ("length", "solved"):
        f"{outcome[name]:d}"
    for row in outcome["replicas"]:
        f"{row['updates_to_solve'] or 0:d} {row['best_score'] or 0:g} {row['solved']:d}"


def read_settings(path: Path) -> dict[str, Any]:
    """settings.json of a search; raises `UserError` where it is missing or is something else."""
    return read_json(path, ("task", "cell", "training", "search"), _use_settings)


def _use_settings(settings: Mapping[str, Any]) -> None:
    dict(settings["cell"].items())
    _told(settings)


def read_json(
    path: Path, names: Sequence[str], use: Callable[[Mapping[str, Any]], None], maker: str = "dvc repro"
) -> dict[str, Any]:
    """The content of a file that has these names, and values for them that can be used.

    `use` does with the content what is done with it, and raises some error where that can't be done; `maker` is the
    command that writes such files. Raises `UserError` where the file is something else.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(), parse_constant=_no_number)
        missing = [name for name in names if name not in content]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} can't be read ({_why(error)}); `{maker}` makes it") from error
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}; `{maker}` makes it anew")
    try:
        use(content)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise UserError(f"{path} has a value that can't be used ({_why(error)}); `{maker}` makes it anew") from error
    return content


def _no_number(text: str) -> None:
    """JSON has no NaN and no Infinity, but Python reads them."""
    raise ValueError(f"{text} is no number")


def _why(error: BaseException) -> str:
    """What an error says, in one line; the kind of error for a name that is missing."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"no {said}" if isinstance(error, KeyError) else said or type(error).__name__


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
