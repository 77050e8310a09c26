"""The replicas that still train, and the best score of each so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from pipeline.learning.first_look import Scores

StopRule = Callable[[int, Sequence[int], Sequence[float]], bool]
"""(position, updates of the probes, its scores at them): True to end this replica now, solved or not."""


def never_stop(position: int, updates: Sequence[int], scores: Sequence[float]) -> bool:
    """Return False: every replica trains until it solves, diverges, or has spent its budget."""
    return False


def rows_of(known: Int64[ndarray, " known"], wanted: Int64[ndarray, " wanted"]) -> Int64[ndarray, " wanted"]:
    """Return the row of each wanted position among the known ones; both rise, and all wanted ones are known."""
    rows: ndarray = np.searchsorted(known, wanted)
    return rows


@dataclass(frozen=True)
class Outcome:
    """The outcome of one replica. Scores are errors: the lower, the better."""

    replica: int  # its seed
    solved: bool
    updates_to_solve: int | None  # first probe at which the score was below the goal
    updates_to_loose_goal: int | None  # the same for the easier goal
    diverged: bool  # ended by a loss or gradient that was not finite
    updates_run: int
    best_score: float | None  # of its best weights, on all held-out sequences; None if it diverged before a probe
    updates_to_exit: int | None = None  # first probe at which the score was clearly better than chance
    decay_init: float | None = None  # of the gradient at the first update, see gradients.decay
    decay_exit: float | None = None  # the same where it left the plateau of chance
    signature: str | None = None  # why it failed, see learning.signature; None if it solved


class Scoreboard:
    """Best-so-far bookkeeping. `running` lists positions among the replicas that began, in their order.

    Probes are compared by the sequences that every probe looks at; a replica that reaches its goal is at its best.
    """

    def __init__(self, replicas: int, goal: float, loose_goal: float, stop: StopRule = never_stop) -> None:
        self.goals, self.stop = (goal, loose_goal), stop
        self.probed: list[int] = []  # updates of the probes
        self.curves: list[list[float]] = [[] for _ in range(replicas)]  # the scores of each replica at its probes
        self.running: Int64[ndarray, " running"] = np.arange(replicas)
        self.best: Float[ndarray, " replica"] = np.full(replicas, np.inf)  # the score at the best probe
        self.first: Float[ndarray, " replica"] = np.full(replicas, np.inf)  # that on the sequences looked at first
        self.counts: Int64[ndarray, " replica"] = np.zeros(replicas, dtype=np.int64)  # how many sequences `best` is of
        self.reached: Int64[ndarray, "goal replica"] = np.zeros((2, replicas), dtype=np.int64)  # update; 0: not yet
        self.diverged: Bool[ndarray, " replica"] = np.zeros(replicas, dtype=bool)
        self.updates: Int64[ndarray, " replica"] = np.zeros(replicas, dtype=np.int64)

    def finish_update(self, finite: Bool[ndarray, " running"]) -> None:
        """Count one update for all that run, and end those whose loss or gradient was not finite."""
        self.updates[self.running] += 1
        self.diverged[self.running[~finite]] = True
        self.running = self.running[finite]

    def goals_left(self) -> Float[ndarray, "goal running"]:
        """Return each goal of each replica that runs; 0 where it has been reached."""
        goals = np.repeat(np.array(self.goals)[:, None], len(self.running), axis=1)
        left: ndarray = np.where(self.reached[:, self.running] > 0, 0.0, goals)
        return left

    def probe(self, update: int, found: Scores) -> Int64[ndarray, " improved"]:
        """Note held-out scores, end who meets the goal or is to stop, and return the positions that improved."""
        self.probed.append(update)
        for position, score in zip(self.running, found.scores, strict=True):
            self.curves[position].append(float(score))
        better = (found.first < self.first[self.running]) | (found.scores < self.goals[0])
        improved: ndarray = self.running[better]
        self.best[improved], self.first[improved] = found.scores[better], found.first[better]
        self.counts[improved] = found.counts[better]
        for reached, goal in zip(self.reached, self.goals, strict=True):
            reached[self.running[(found.scores < goal) & (reached[self.running] == 0)]] = update
        self.running = self.running[self.reached[0, self.running] == 0]
        ended = [self.stop(int(each), self.probed, self.curves[each]) for each in self.running]
        self.running = self.running[~np.array(ended, dtype=bool)]
        return improved

    def scored_on_a_part(self, count: int) -> Int64[ndarray, " replica"]:
        """Return the positions whose best score is of fewer held-out sequences than all."""
        found: ndarray = np.flatnonzero((self.counts > 0) & (self.counts < count))
        return found

    def outcomes(self, seeds: Sequence[int]) -> list[Outcome]:
        """Return what became of each replica; `seeds` has that of each."""
        return [
            Outcome(
                replica=seed,
                solved=bool(self.reached[0, position]),
                updates_to_solve=int(self.reached[0, position]) or None,
                updates_to_loose_goal=int(self.reached[1, position]) or None,
                diverged=bool(self.diverged[position]),
                updates_run=int(self.updates[position]),
                best_score=float(self.best[position]) if np.isfinite(self.best[position]) else None,
            )
            for position, seed in enumerate(seeds)
        ]
