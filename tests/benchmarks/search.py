"""The simulation of the search: what ours costs and how often it is right, beside other ways to ask.

`python -m tests.benchmarks.search` prints the table and writes it as JSON; `--cells 400` is the size of the goals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log2

import numpy as np

from pipeline.horizon.model import Array, Grid, log_likelihood
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Observation, Posterior
from pipeline.horizon.stopping import reason_to_stop, wants_ninety
from tests.benchmarks.search_designs import Design
from tests.benchmarks.search_truth import BUDGET, Truth

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
    budgets=1,
    fresh=False,
)


@dataclass(frozen=True)
class Outcome:
    """One simulated search."""

    truth: Truth
    reason: str
    trials: int
    compute: float  # replica x budget x length
    median: float  # octaves
    lower: float
    upper: float
    seen: tuple[Observation, ...]

    @property
    def resolved(self) -> bool:
        """Whether it ended with an answer."""
        return self.reason in ("interval", "above", "below")

    def covers(self, options: SearchOptions) -> bool:
        """Whether the answer is true: the interval holds theta, or theta is where the censoring says."""
        if self.reason == "above":
            return self.truth.theta > log2(options.length_max)
        if self.reason == "below":
            return self.truth.theta < log2(options.length_min)
        return self.lower <= self.truth.theta <= self.upper


class Belief:
    """The posterior, grown trial by trial; the same as `posterior(seen)`, faster."""

    def __init__(self, options: SearchOptions) -> None:
        """Start from the prior."""
        self.grid = Grid(options.length_min, options.length_max)
        self.total: Array = self.grid.log_prior.copy()

    def see(self, trial: Observation) -> Posterior:
        """Return the posterior after one more trial."""
        self.total += log_likelihood(self.grid, trial.length, trial.solved, trial.replicas)
        weights = np.exp(self.total - self.total.max())
        return Posterior(self.grid, weights / weights.sum())


def simulate(design: Design, truth: Truth, options: SearchOptions, seed: int) -> Outcome:
    """Search one made-up cell."""
    draw = np.random.default_rng(seed)
    belief, seen = Belief(options), list[Observation]()
    asking = design(options, seed)
    length, reason = next(asking), None
    while reason is None:
        aim = "t90" if reason is None and seen and wants_ninety(seen, found, options) else "t50"
        seen.append(replace(truth.trial(length, options.replicas, draw), aim=aim))
        found = belief.see(seen[-1])
        reason = reason_to_stop(seen, found, options)
        if reason is None:
            length = asking.send((seen, found))
    compute = sum(trial.cost for trial in seen) / BUDGET
    return Outcome(truth, reason, len(seen), compute, found.quantile(0.5), *found.interval(options.level), tuple(seen))
