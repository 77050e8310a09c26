"""gradients.parquet of a search: the gradient through time of each trial, and its two sides of the horizon."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from numpy import ndarray
from pyarrow import parquet

from pipeline.base.errors import UserError
from pipeline.records.reading import why
from pipeline.study.results import Result

PROFILE = {  # columns of gradients.parquet, and the kinds of numpy's types that they may have
    "when": "UO",
    **dict.fromkeys(("trial", "length", "update", "step"), "iu"),
    **dict.fromkeys(("log2_norm_median", "log2_norm_least", "log2_norm_greatest"), "f"),
}

PROFILES = ("first", "last")  # recorded updates of which a trial keeps the gradient through time


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
            f"{path} can't be read as gradients of a search ({why(error)}); `dvc repro` makes it"
        ) from error
    if wrong:
        raise UserError(f"{path} has something else than numbers in {', '.join(wrong)}; `dvc repro` makes it")
    return found


def contrast(
    trials: Sequence[Mapping[str, str]], profiles: Mapping[str, Any], horizon: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The gradient through time on both sides of the horizon.

    At the longest length below it of which half of the seeds solved, and the shortest above it of which fewer did.
    """
    chosen = [_solved(trials, horizon), _unsolved(trials, horizon)]
    return [profile(profiles, row, when) for row in chosen if row for when in PROFILES]


def profile(profiles: Mapping[str, Any], row: Mapping[str, str], when: str) -> dict[str, Any]:
    """log2 ‖∂L/∂h_t‖ of one trial over its steps, at its first or last recorded update, and what the trial was."""
    chosen = (profiles["trial"] == int(row["ordinal"])) & (profiles["when"] == when)
    bands = {name: profiles[f"log2_norm_{name}"][chosen] for name in ("median", "least", "greatest")}
    known = {"length": int(row["length"]), "share": f"{row['solved']}/{row['replicas']}", "solved": share(row) >= 0.5}
    known |= {"when": when, "update": int(profiles["update"][chosen][0])}
    return {**known, "steps": profiles["step"][chosen], **bands}


def share(trial: Mapping[str, str]) -> float:
    """The share of its replicas that a trial solved."""
    return int(trial["solved"]) / int(trial["replicas"])


def _solved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    below = [row for row in trials if share(row) >= 0.5 and int(row["length"]) <= median]
    return max(below, key=lambda row: int(row["length"]), default=None)


def _unsolved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    above = [row for row in trials if share(row) < 0.5 and int(row["length"]) >= median]
    return min(above, key=lambda row: int(row["length"]), default=None)
