"""outcome.json of a training: how each replica did."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.base.trees import as_json
from pipeline.learning.scoreboard import Outcome
from pipeline.records.reading import MAKER, read_json


@dataclass(frozen=True)
class Tested:
    """How the best weights did at another length."""

    length: int
    below_goal: int  # replicas
    scores: tuple[float, ...]  # held-out errors, one a replica


@dataclass(frozen=True)
class OutcomeRecord:
    """How a training of some replicas at one length ended."""

    task: str
    cell: str
    length: int
    budget: int  # updates that each replica was allowed
    goal: float
    loose_goal: float
    chance: float
    solved: int  # replicas
    compute: int  # replica x updates x length
    signature: str | None
    gradient: Mapping[str, float | None]  # the last figures of the gradient, means over the replicas
    replicas: tuple[Outcome, ...]
    tested: tuple[Tested, ...] = ()

    @property
    def pair(self) -> str:
        """TASK-CELL."""
        return f"{self.task}-{self.cell}"

    @property
    def best_score(self) -> float | None:
        """The best of all replicas; None where every one diverged."""
        return min((row.best_score for row in self.replicas if row.best_score is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the content of outcome.json; tests are in it where there were any."""
        names = [field.name for field in fields(self) if field.name != "tested" or self.tested]
        return {name: as_json(getattr(self, name)) for name in names}


def read_outcome(path: Path, maker: str = MAKER) -> OutcomeRecord:
    """Return the content of outcome.json; raises `UserError` where it is missing or is something else."""
    return read_json(path, OutcomeRecord, maker)
