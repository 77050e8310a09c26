"""horizon.json and settings.json of a search, and whether its files belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy import ndarray

from pipeline.base.errors import UserError
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation, observations_of_rows
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior, posterior
from pipeline.learning.signature import majority
from pipeline.records.reading import read_json
from pipeline.records.trials import Rows
from pipeline.records.wording import phrase
from pipeline.study.results import Result
from pipeline.tasks.task import Task


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


def read_settings(path: Path) -> dict[str, Any]:
    """settings.json of a search; raises `UserError` where it is missing or is something else."""
    return read_json(path, ("task", "cell", "training", "search"), _use_settings)


def _use_settings(settings: Mapping[str, Any]) -> None:
    dict(settings["cell"].items())
    _told(settings)


def _told(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What horizon.json tells of the settings of its search."""
    search = {name: settings["search"][name] for name in ("length_min", "length_max", "replicas", "level")}
    return {**search, "budget": settings["training"]["updates"], "goal": settings["task"]["goal"]}


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


def belief_of(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> Posterior:
    """The posterior of a search, from trials.csv and horizon.json."""
    return posterior(observations_of_rows(rows), Grid(horizon["length_min"], horizon["length_max"]))
