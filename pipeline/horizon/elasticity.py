"""How the horizon grows with the budget: octaves of length for an octave of updates, and what a larger budget may give.

    e = log2 T50(B) - log2 T50(B / 2)

Near 0 the horizon stands at a wall that more updates do not move; near 1 and above it is learning that is slow. Both
horizons are read from the same trials. A replica that solves within B / 2 solves within B, so the outcomes are nested
and T50(B / 2) <= T50(B): the two posteriors are taken as independent given that. What they share makes their difference
narrower than that, so the interval is rather too wide (tests/benchmarks/search.py measures its coverage).

Twice the budget is foreseen by the same step, shrunk by a factor r: log2 T50(2 B) = log2 T50(B) + r e, and again for
four times. r is log-normal, with the median and the spread that the elasticities of successive octaves showed in the
searches of the default grid (`RATIO`, `SPREAD`). The benchmark `foreseen` holds that against measured horizons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.base.numbers import significant
from pipeline.horizon.belief import belief
from pipeline.horizon.by_budget import at_budget
from pipeline.horizon.estimate import AtBudget
from pipeline.horizon.model import STEP, Array, Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior

RATIO, SPREAD = 0.55, 0.5  # median of the next elasticity over the last, and its standard deviation in logarithms
DRAWS, SEED = 4000, 1
FORESEEN = (2, 4)  # times the budget


@dataclass(frozen=True)
class Elasticity:
    """Octaves that the horizon gains for twice the budget, with its interval."""

    budget: int  # updates: from half of them to all
    median: float
    lower: float
    upper: float


def growth(
    seen: Sequence[Observation], at: Sequence[AtBudget], options: SearchOptions
) -> tuple[tuple[Elasticity, ...], tuple[AtBudget, ...]]:
    """Return the elasticity of each octave of budget between known horizons, and the horizons foreseen beyond.

    `at` holds the horizons at rising budgets, each half of the next.
    """
    grid, level = Grid.of(options), options.level
    known = {each.budget: belief(at_budget(seen, each.budget), grid) for each in at if each.median is not None}
    pairs = [(half.budget, each.budget) for half, each in pairwise(at)]
    both = [(half, budget) for half, budget in pairs if half in known and budget in known]
    steps = [(budget, steps_between(known[half], known[budget])) for half, budget in both]
    elasticities = tuple(Elasticity(budget, *ends(gained, level)) for budget, (_, gained) in steps)
    if not steps or steps[-1][0] != at[-1].budget:
        return elasticities, ()
    budget, (theta, gained) = steps[-1]
    return elasticities, foresee(budget, theta, gained, level)


def steps_between(half: Posterior, whole: Posterior) -> tuple[Array, Array]:
    """Return draws of log2 T50 at the budget, and of what it gained over that at half of it, never less than 0."""
    random = np.random.Generator(np.random.Philox(SEED))
    joint = np.triu(np.multiply.outer(half.theta, whole.theta))  # (at half, at the whole budget)
    cells = random.choice(joint.size, DRAWS, p=joint.ravel() / joint.sum())
    low, high = np.unravel_index(cells, joint.shape)
    within = random.random((2, DRAWS)) - 0.5  # a horizon lies anywhere in its bin
    theta = half.grid.theta[high] + STEP * within[0]
    gained = np.maximum(theta - half.grid.theta[low] - STEP * within[1], 0.0)
    return theta, gained


def foresee(budget: int, theta: Array, gained: Array, level: float) -> tuple[AtBudget, ...]:
    """Return the horizon at each of `FORESEEN` times the budget, from draws of the horizon and of its last gain."""
    random = np.random.Generator(np.random.Philox(SEED + 1))
    found = []
    for times in FORESEEN:
        gained = gained * RATIO * np.exp(SPREAD * random.standard_normal(DRAWS))
        theta = theta + gained
        median, lower, upper = (significant(2**octaves) for octaves in ends(theta, level))
        found.append(AtBudget(median, lower, upper, budget=times * budget))
    return tuple(found)


def ends(draws: Array, level: float) -> tuple[float, float, float]:
    """Return median and both ends of the central interval."""
    median, lower, upper = np.quantile(draws, (0.5, (1 - level) / 2, (1 + level) / 2))
    return significant(float(median)), significant(float(lower)), significant(float(upper))
