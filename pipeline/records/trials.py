"""trials.csv of a search: one row a trial, in their order; what has a value for each replica is a JSON list."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line
from pipeline.records.reading import MAKER
from pipeline.study.record import PER_REPLICA, TrialRecord

KNOWN = ("ordinal", "aim", "length", "replicas", "solved", "budget", "cost", *PER_REPLICA)  # columns of every file


def write_trials(path: Path, trials: Sequence[TrialRecord]) -> None:
    """Write the file."""
    rows = [_row(trial) for trial in trials]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_trials(path: Path, maker: str = MAKER) -> tuple[TrialRecord, ...]:
    """Return the trials, without gradient profiles; raises `UserError` where the file is missing or something else."""
    try:
        text = path.read_text()
        trials = tuple(_trial(row) for row in csv.DictReader(text.splitlines(), strict=True))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path} can't be read as the trials of a search ({why}); {maker} makes it anew") from error
    if not text.endswith("\n") or not trials or [trial.ordinal for trial in trials] != list(range(len(trials))):
        raise UserError(f"{path} does not hold every trial of a search, whole; {maker} makes it anew")
    return trials


def _row(trial: TrialRecord) -> dict[str, Any]:
    row = {name: getattr(trial, name) for name in KNOWN}
    row |= {name: json.dumps(row[name]) for name in PER_REPLICA}
    return {**row, **trial.figures, "signature": trial.signature}


def _trial(row: Mapping[str, str]) -> TrialRecord:
    if None in row or None in row.values():
        raise ValueError("a row is longer or shorter than the head")
    content: dict[str, Any] = {name: json.loads(row[name]) for name in KNOWN if name != "aim"}
    figures = {name: _number(text) for name, text in row.items() if name not in (*KNOWN, "signature")}
    content |= {"aim": row["aim"], "signature": row["signature"] or None, "figures": figures}
    return checked(TrialRecord, content)


def _number(text: str) -> float | int | None:
    return (int(text) if text.lstrip("-").isdigit() else float(text)) if text else None
