"""trials.csv of a search: one row a trial."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.base.errors import UserError
from pipeline.horizon.observation import observations_of_rows
from pipeline.records.reading import why
from pipeline.study.results import Result

Rows: TypeAlias = Sequence[Mapping[str, Any]]  # of trials.csv


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
            f"{path} can't be read as the trials of a search ({why(error)}); `dvc repro` makes it"
        ) from error
    complete = text.endswith("\n") and not any(None in row or None in row.values() for row in rows)
    whole = all(0 <= trial.solved <= trial.replicas == len(trial.updates) and trial.length >= 1 for trial in seen)
    if not rows or not complete or not whole or numbered != list(range(len(rows))):
        raise UserError(f"{path} does not hold every trial of a search, whole; `dvc repro` makes it")
    return rows
