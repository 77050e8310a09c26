"""outcome.json of a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.records.reading import read_json


def read_outcome(path: Path) -> dict[str, Any]:
    """outcome.json of train; raises `UserError` where it is missing or is something else."""
    return read_json(path, ("task", "cell", "length", "solved", "replicas"), _use_outcome)


def _use_outcome(outcome: Mapping[str, Any]) -> None:
    for name in ("length", "solved"):
        f"{outcome[name]:d}"
    for row in outcome["replicas"]:
        f"{row['updates_to_solve'] or 0:d} {row['best_score'] or 0:g} {row['solved']:d}"
