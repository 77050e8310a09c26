"""One trial with all that is kept of it: what a study, trials.csv and gradients.parquet state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.horizon.observation import Observation

Figures: TypeAlias = Mapping[str, float | int | None]  # measured, by their names

PER_REPLICA = ("updates", "diverged", "best_score", "seeds", "updates_to_loose_goal")  # one value a replica
WHEN = ("first", "last")  # recorded updates of which a trial keeps the gradient through time


@dataclass(frozen=True)
class Profile:
    """The gradient through time at one update: log2 ‖∂L/∂h_t‖ at some steps t, over the replicas that trained."""

    update: int
    steps: tuple[int, ...]
    median: tuple[float, ...]
    least: tuple[float, ...]
    greatest: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where a step has no value."""
        if not self.steps or {len(self.median), len(self.least), len(self.greatest)} != {len(self.steps)}:
            raise ValueError("a profile has one value a step")


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The result of training some replicas at one length; tuples hold one value a replica."""

    length: int
    replicas: int
    solved: int  # replicas
    budget: int  # updates that each replica was allowed
    cost: float  # replica x updates x length that was run
    updates: tuple[int | None, ...]  # update at which it was solved, None where it was not
    diverged: tuple[bool, ...]
    best_score: tuple[float | None, ...]
    seeds: tuple[int, ...]
    updates_to_loose_goal: tuple[int | None, ...]
    figures: Figures = field(default_factory=dict)  # of the gradient, medians over the replicas; None: not known
    signature: str | None = None  # why replicas failed, see learning.signature
    profiles: tuple[Profile, ...] = ()  # at its first and last recorded update, or none: not in trials.csv
    curves: tuple[Mapping[str, float], ...] = ()  # what was measured during training, by update: in the study alone

    def __post_init__(self) -> None:
        """Raise ValueError where the parts contradict each other."""
        if self.length < 1 or any(len(getattr(self, name)) != self.replicas for name in PER_REPLICA):
            raise ValueError("a trial has a length, and one value a replica")
        if self.solved != sum(update is not None for update in self.updates):
            raise ValueError(f"{self.solved} solved and updates {list(self.updates)} disagree")

    @property
    def share(self) -> float:
        """The share of its replicas that solved."""
        return self.solved / self.replicas

    @property
    def score(self) -> str:
        """How many solved, in words: `6/8`."""
        return f"{self.solved}/{self.replicas}"


@dataclass(frozen=True, kw_only=True)
class TrialRecord(TrialResult):
    """One finished trial of a search."""

    ordinal: int  # among the trials that are not retries
    aim: str  # what it was asked for: "t50", "t90" or "check"

    @property
    def observation(self) -> Observation:
        """The trial as the posterior reads it."""
        return self._observed(self.updates)

    @property
    def loosely(self) -> Observation:
        """The trial as the posterior reads it, judged by the task's easier goal."""
        return self._observed(self.updates_to_loose_goal)

    def _observed(self, updates: tuple[int | None, ...]) -> Observation:
        solved = sum(update is not None for update in updates)
        return Observation(self.length, solved, self.replicas, updates, self.budget, self.cost, self.aim)
