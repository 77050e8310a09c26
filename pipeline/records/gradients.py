"""gradients.parquet of a search: the gradient through time of each trial, and its two sides of the horizon."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line
from pipeline.horizon.estimate import Estimate
from pipeline.records.reading import MAKER
from pipeline.study.record import WHEN, Profile, TrialRecord

NORMS = ("median", "least", "greatest")  # over the replicas; columns log2_norm_median, ...


def write_profiles(path: Path, trials: Sequence[TrialRecord]) -> None:
    """Write the file: log2 ‖∂L/∂h_t‖ over t, for each trial at its first and its last recorded update."""
    columns: dict[str, list[Any]] = {}
    for trial in trials:
        for when, profile in zip(WHEN, trial.profiles, strict=True):
            same = {"trial": trial.ordinal, "length": trial.length, "when": when, "update": profile.update}
            block = {name: [value] * len(profile.steps) for name, value in same.items()}
            block |= {"step": list(profile.steps)}
            block |= {f"log2_norm_{name}": list(getattr(profile, name)) for name in NORMS}
            for name, values in block.items():
                columns.setdefault(name, []).extend(values)
    parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def with_profiles(path: Path, trials: Sequence[TrialRecord], maker: str = MAKER) -> tuple[TrialRecord, ...]:
    """Return the trials with their profiles; raises `UserError` where the file is missing, or of other trials."""
    try:
        found = _profiles(parquet.read_table(path).to_pylist())
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path} can't be read as gradients of a search ({why}); {maker} makes it anew") from error
    if set(found) != {(trial.ordinal, trial.length, when) for trial in trials for when in WHEN}:
        raise UserError(f"{path} is of other trials than trials.csv; {maker} makes it anew")
    return tuple(
        replace(trial, profiles=tuple(found[trial.ordinal, trial.length, when] for when in WHEN)) for trial in trials
    )


def _profiles(rows: Sequence[dict[str, Any]]) -> dict[tuple[int, int, str], Profile]:
    """Return the profiles by trial, length and moment."""
    groups: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["trial"], row["length"], row["when"]), []).append(row)
    columns = {"steps": "step"} | {name: f"log2_norm_{name}" for name in NORMS}
    return {
        key: checked(
            Profile,
            {"update": group[0]["update"]} | {name: [row[of] for row in group] for name, of in columns.items()},
        )
        for key, group in groups.items()
    }


def contrast(trials: Sequence[TrialRecord], t50: Estimate) -> list[TrialRecord]:
    """Return the trials that show the gradient on both sides of the horizon.

    At the longest length below it of which half of the replicas solved, and the shortest above it of which fewer did.
    """
    below = [trial for trial in trials if trial.share >= 0.5 and trial.length <= t50.begins]
    above = [trial for trial in trials if trial.share < 0.5 and trial.length >= t50.begins]
    sides = max(below, key=_length, default=None), min(above, key=_length, default=None)
    return [trial for trial in sides if trial]


def _length(trial: TrialRecord) -> int:
    return trial.length
