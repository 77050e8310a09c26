"""A finished trial as the posterior reads it, from wherever it is kept."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any


@dataclass(frozen=True)
class Observation:
    """One finished trial: how many of its replicas solved the length, and what that took."""

    length: int
    solved: int
    replicas: int
    updates: tuple[int | None, ...] = ()  # update at which each replica solved, None where it did not
    budget: int = 0  # updates that a replica is allowed
    cost: float = 0.0  # replica x updates x length that was run
    aim: str = "t50"  # what the trial was asked for: "t50" or "t90"


@dataclass(frozen=True)
class Visited:
    """All trials at one length."""

    length: int
    solved: int  # replicas of all trials
    replicas: int
    trials: tuple[Observation, ...]

    def __str__(self) -> str:
        """Return what a sentence says of it."""
        return f"{self.solved} of {self.replicas} replicas solved length {self.length}"


def visited(seen: Iterable[Observation]) -> list[Visited]:
    """Return the trials by length, rising."""
    groups: dict[int, list[Observation]] = defaultdict(list)
    for trial in seen:
        groups[trial.length].append(trial)
    return [
        Visited(length, sum(t.solved for t in trials), sum(t.replicas for t in trials), tuple(trials))
        for length, trials in sorted(groups.items())
    ]


def observations_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Observation]:
    """Return the rows of trials.csv as observations; `updates` of a row is a JSON list."""
    return [
        Observation(
            length=int(row["length"]),
            solved=int(row["solved"]),
            replicas=int(row["replicas"]),
            updates=tuple(json.loads(row["updates"])),
            budget=int(row["budget"]),
            cost=float(row["cost"]),
            aim=str(row["aim"]),
        )
        for row in rows
    ]


def spent(seen: Sequence[Observation]) -> float:
    """Return the compute of all trials, in replica x updates x length."""
    return fsum(trial.cost for trial in seen)
