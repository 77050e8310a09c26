"""A toy in place of training: settings reach as far as a curve of the learning rate says; seeds scatter little."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Any

from pipeline.settings import build
from pipeline.tuning.climbing import Entrant, RaceOutcome
from pipeline.tuning.options import TuneOptions
from pipeline.tuning.rounds import Question
from pipeline.tuning.space import space_of
from tests.conftest import compose

BUDGET = 1000
BEST = 0.01  # learning rate
PLAIN = {"optimizer.name": "adam", "optimizer.lr": 0.001, "training.clip": 1.0, "cell.init": "torch"}


class Killed(BaseException):
    """Ends a tuning as kill -9 would: nothing is cleaned up."""


def horizon(values: Mapping[str, Any]) -> float:
    """100 at the best learning rate and with orthogonal weights, and less the farther away."""
    off = abs(log2(values["optimizer.lr"] / BEST))
    return 100 * 2 ** (-0.5 * off) * (1.0 if values["cell.init"] == "orthogonal" else 0.7)


@dataclass
class Toy:
    """Trains nothing: a replica solves lengths below its settings' horizon times a factor that its seed draws."""

    horizon: Callable[[Mapping[str, Any]], float] = horizon
    scatter: float = 0.2  # octaves
    killed_at: int | None = None  # call
    calls: list[tuple[list[Entrant], int, int | None]] = field(default_factory=list)

    def __call__(self, entrants: Sequence[Entrant], length: int, quorum: int | None) -> list[RaceOutcome]:
        if len(self.calls) == self.killed_at:
            raise Killed
        self.calls.append((list(entrants), length, quorum))
        needed = [self.updates(entrant, length) for entrant in entrants]
        solvers = sorted(update for update in needed if update <= BUDGET)
        ends = solvers[quorum - 1] if quorum is not None and len(solvers) >= quorum else BUDGET
        return [self.finish(length, update, ends) for update in needed]

    def updates(self, entrant: Entrant, length: int) -> int:
        """After which the replica has solved a length; beyond the budget where it does not."""
        drawn = 2 ** random.Random(entrant.seed).gauss(0, self.scatter)
        return round(BUDGET * length / (self.horizon(entrant.values) * drawn))

    @staticmethod
    def finish(length: int, needed: int, ends: int) -> RaceOutcome:
        ran = min(needed, ends)
        return RaceOutcome(length, needed <= ends, ran, round(min(1.0, ends / needed), 4), length * ran)


def options(**changes: Any) -> TuneOptions:
    """The project's options, with these changed."""
    values = vars(compose().tune) | {"generations": 4, "settings": 8, "searches": 1e6} | changes
    made = TuneOptions(**values)
    made.check()
    return made


def question(**changes: Any) -> Question:
    """A toy pair."""
    space = space_of(options().space, {})
    known: dict[str, Any] = {"plain": PLAIN, "space": space, "shortest": 10, "longest": 512, "budget": BUDGET}
    known |= {"replicas": 8, "search_cost": 50.0 * 50 * BUDGET, "search_horizon": 50.0}
    return Question(**(known | changes))


def sampler(generation: int) -> Any:
    """Optuna's, as conf/tune.yaml has it."""
    return build(options().sampler, "tune.sampler", seed=generation)
