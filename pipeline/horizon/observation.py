"""A finished trial as the posterior reads it, from wherever it is kept."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum


@dataclass(frozen=True)
class Observation:
    """One finished trial: how many of its replicas solved the length, and what that took."""

    length: int
    solved: int
    replicas: int
    updates: tuple[int | None, ...] = ()  # update at which each replica solved, None where it did not
    budget: int = 0  # updates that a replica is allowed
    cost: float = 0.0  # replica x updates x length that was run
    aim: str = "t50"  # what the trial was asked for: "t50", "t90" or "check"


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


def spent(seen: Sequence[Observation]) -> float:
    """Return the compute of all trials, in replica x updates x length."""
    return fsum(trial.cost for trial in seen)
