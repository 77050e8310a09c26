"""One simulated search of a made-up cell, by one worker or by several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import log2
from typing import Generic, TypeVar

import numpy as np

from pipeline.horizon.acquisition import next_question
from pipeline.horizon.answer import told
from pipeline.horizon.belief import belief
from pipeline.horizon.estimate import LONGEST, Estimate, widened
from pipeline.horizon.findings import Findings
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation, visited
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import CONVERGED, reason_to_stop
from tests.benchmarks.search_designs import OURS, PASS_ENDS, Design
from tests.benchmarks.search_truth import BUDGET, Cell

SomeCell = TypeVar("SomeCell", bound=Cell)

OPTIONS = SearchOptions(
    length_min=4,
    length_max=2048,
    replicas=4,
    factor=1.5,
    level=0.9,
    certainty=0.95,
    trials=120,
    compute=None,
    leap=2.0,
    per_octave=8,
    t90=False,
    t90_trials=12,
    budgets=4,
    checks=0.15,
    fresh=False,
)


@dataclass(frozen=True)
class Outcome(Generic[SomeCell]):
    """One simulated search."""

    cell: SomeCell
    options: SearchOptions
    reason: str
    seen: tuple[Observation, ...]
    found: Posterior

    @property
    def compute(self) -> float:
        """Replica x budget x length."""
        return sum(trial.cost for trial in self.seen) / BUDGET

    @property
    def resolved(self) -> bool:
        """Whether it ended with an answer."""
        return self.reason in CONVERGED

    @property
    def error(self) -> float:
        """Octaves from the true horizon to the median."""
        return self.found.quantile(0.5) - self.cell.theta

    @property
    def covers(self) -> bool:
        """Whether the answer is true: the interval holds theta, or theta is where the censoring says."""
        if self.reason == "above":
            return self.cell.theta > log2(self.options.length_max)
        if self.reason == "below":
            return self.cell.theta < log2(self.options.length_min)
        warnings, believed = told(Findings(self.seen, self.options, self.found))
        lower, upper = (2**octaves for octaves in believed.interval(self.options.level))
        known = Estimate(2 ** believed.quantile(0.5), lower, upper)
        ends = widened(known, visited(self.seen)) if warnings else known
        return (ends.lower or 0.0) <= 2**self.cell.theta <= (ends.upper or LONGEST)


def simulate(design: Design, cell: SomeCell, options: SearchOptions, seed: int) -> Outcome[SomeCell]:
    """Search a made-up cell with one worker."""
    if design is not OURS:  # which alone looks for contradictions, and would else never end
        options = replace(options, checks=0.0)
    draw = np.random.default_rng(seed)
    seen = list[Observation]()
    asking = design.ask(options, seed)
    question = next(asking)
    while True:
        length, aim, replicas = question
        seen.append(replace(cell.trial(length, replicas, draw), aim=aim))
        found = current(seen, options)
        reason = reason_to_stop(Findings(seen, options, found))
        if reason and not design.in_passes:
            return Outcome(cell, options, reason, tuple(seen), found)
        question = asking.send((seen, found))
        if question == PASS_ENDS:
            if reason:
                return Outcome(cell, options, reason, tuple(seen), found)
            question = next(asking)


def simulate_crew(workers: int, cell: SomeCell, options: SearchOptions, seed: int) -> Outcome[SomeCell]:
    """Search a made-up cell with several workers at once, each asking when it is free; our design."""
    draw = np.random.default_rng(seed)
    seen, reason, count = list[Observation](), None, 0
    running: list[tuple[float, int, Observation]] = []  # when it ends, ordinal, what it will have found
    now = 0.0
    while running or not reason:
        found = Findings.of(seen, options)
        while not reason and len(running) < workers:
            length, aim, replicas = next_question(found)
            trial = replace(cell.trial(length, replicas, draw), aim=aim)
            heappush(running, (now + duration(trial), count, trial))
            count += 1
        now, _, trial = heappop(running)
        seen.append(trial)
        reason = reason or reason_to_stop(Findings.of(seen, options))
    return Outcome(cell, options, reason, tuple(seen), current(seen, options))


def current(seen: Sequence[Observation], options: SearchOptions) -> Posterior:
    """Return the posterior of these trials."""
    return belief(seen, Grid.of(options))


def duration(trial: Observation) -> float:
    """Return how long a trial takes: its replicas train side by side, the last one ends it."""
    return trial.length * max(update or BUDGET for update in trial.updates)
