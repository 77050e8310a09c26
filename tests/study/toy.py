"""A toy in place of training: replicas solve by a known curve, drawn from their seed alone, in no time."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.study.record import TrialResult
from pipeline.study.trials import seeds_of

DEFAULTS: dict[str, Any] = {
    "length_min": 4,
    "length_max": 256,
    "replicas": 4,
    "factor": 1.5,
    "level": 0.9,
    "certainty": 0.95,
    "trials": 120,
    "compute": None,
    "leap": 2.0,
    "per_octave": 8,
    "t90": False,
    "t90_trials": 12,
    "budgets": 3,
    "fresh": False,
}


def options(**changes: Any) -> SearchOptions:
    """Return options for a quick search, with these changed."""
    return SearchOptions(**(DEFAULTS | changes))


@dataclass(frozen=True)
class Toy:
    """Runs trials whose replicas solve length T with chance 1 / (1 + (T / horizon)^steepness)."""

    horizon: float = 40.0
    steepness: float = 6.0
    budget: int = 1000
    seconds: float = 0.0  # that a trial takes
    fails_at: int | None = None  # ordinal of a trial that raises

    def __call__(self, length: int, seeds: Sequence[int]) -> TrialResult:
        """Return the same result for the same arguments."""
        time.sleep(self.seconds)
        ordinal = seeds[0] // len(seeds)
        if ordinal == self.fails_at:
            raise RuntimeError(f"trial {ordinal} broke")
        updates = [self.replica(length, seed) for seed in seeds]
        return TrialResult(
            length=length,
            replicas=len(seeds),
            solved=sum(update is not None for update in updates),
            budget=self.budget,
            cost=float(sum((update or self.budget) * length for update in updates)),
            updates=tuple(updates),
            diverged=(False,) * len(seeds),
            best_score=tuple(1.0 if update else 0.5 for update in updates),
            seeds=tuple(seeds),
            updates_to_loose_goal=tuple(updates),
        )

    def trial(self, length: int, ordinal: int) -> TrialResult:
        """Return the result of the trial with this ordinal, of 4 replicas."""
        return self(length, seeds_of(ordinal, 4))

    def replica(self, length: int, seed: int) -> int | None:
        """Return the update at which a replica solves, or None."""
        draw = random.Random(seed)
        update = round(self.budget * draw.uniform(0.2, 1.0))
        return update if draw.random() < 1 / (1 + (length / self.horizon) ** self.steepness) else None


def seen(*trials: Sequence[int], replicas: int = 4) -> list[Observation]:
    """Return observations from (length, solved) pairs."""
    return [Observation(length, solved, replicas, cost=float(length)) for length, solved in trials]
