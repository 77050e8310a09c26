"""The model of solving: how the chance that a replica solves the task falls with length, on a grid with its prior.

    p(x) = f + (1 - f - lapse) sigma(-(x - mid) / s)    chance that one replica solves length T, x = log2 T
    mid  = theta + s logit(.5 / (1 - lapse))            so that theta is where p crosses one half

theta is the horizon in octaves (log2 T50), s the slope in octaves, `lapse` the share of replicas that fail at any
length, f = .005 the floor. Replicas of one trial may agree more than chance (intra-trial correlation rho): then their
number solved is beta-binomial. The psychometric function and its lapse are those of Wichmann and Hill (2001, Perception
& Psychophysics 63:1293); the correlation is that of Schuett et al. (2016, Vision Research 122:105).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import comb, log2
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.05  # octaves between neighbouring horizons of the grid
BEYOND = 1.5  # octaves of the prior outside the lengths that may be tried, on each side
SLOPES = tuple(float(slope) for slope in np.geomspace(0.05, 1.1, 7))  # octaves
CORRELATIONS = ((0.0, 0.8), (0.05, 0.1), (0.15, 0.07), (0.30, 0.03))  # rho, prior weight
LAPSES = ((0.005, 0.4), (0.04, 0.3), (0.10, 0.2), (0.20, 0.1))  # lapse, prior weight
FLOOR = 0.005  # chance to solve far above the horizon
SMALLEST = 1e-6  # chances are kept this far from 0 and 1


@runtime_checkable
class Lengths(Protocol):
    """What says between which lengths a search asks: its options, or its answer."""

    @property
    def length_min(self) -> int: ...

    @property
    def length_max(self) -> int: ...


@dataclass(frozen=True)
class Grid:
    """All curves that the search holds possible: horizons x slopes x lapses x correlations, and their prior weight.

    Arrays over the grid have the shape (horizons, slopes, lapses, correlations).
    """

    shortest: int
    longest: int
    lapses: tuple[tuple[float, float], ...] = LAPSES

    @classmethod
    def of(cls, asked: "Lengths") -> "Grid":
        """Return the curves that a search between these lengths holds possible."""
        return cls(asked.length_min, asked.length_max)

    @cached_property
    def theta(self) -> Array:
        """Horizons log2 T50, in steps of .05 octave, 1.5 octaves beyond both ends."""
        low, high = log2(self.shortest) - BEYOND, log2(self.longest) + BEYOND
        return np.arange(low, high + STEP / 2, STEP)

    @cached_property
    def log_prior(self) -> Array:
        """Log weight of every curve: theta and log s uniform, lapse and correlation as listed."""
        lapse_weights = np.array([weight for _, weight in self.lapses])
        correlation_weights = np.array([weight for _, weight in CORRELATIONS])
        weights = np.multiply.outer(lapse_weights, correlation_weights) / (len(SLOPES) * len(self.theta))
        shape = (len(self.theta), len(SLOPES), len(self.lapses), len(CORRELATIONS))
        return np.broadcast_to(np.log(weights), shape)


def solve_chance(x: float | Array, theta: float | Array, slope: float | Array, lapse: float | Array) -> Array:
    """Return p(x), clipped to [1e-6, 1 - 1e-6]; all arguments broadcast."""
    middle = theta + slope * logit(0.5 / (1 - np.asarray(lapse)))
    chance = FLOOR + (1 - FLOOR - lapse) * sigmoid((middle - x) / slope)
    return np.asarray(np.clip(chance, SMALLEST, 1 - SMALLEST))


def logit(chance: float | Array) -> Array:
    """Return log(p / (1 - p))."""
    return np.asarray(np.log(chance / (1 - np.asarray(chance))))


def sigmoid(value: float | Array) -> Array:
    """Return 1 / (1 + exp(-value)) without overflow."""
    return np.asarray((1 + np.tanh(np.asarray(value) / 2)) / 2)


@lru_cache(maxsize=160)
def chance_table(grid: Grid, length: int) -> Array:
    """Return p at this length for every (horizon, slope, lapse) of the grid."""
    slopes = np.array(SLOPES)[:, None]
    lapses = np.array([lapse for lapse, _ in grid.lapses])
    return solve_chance(log2(length), grid.theta[:, None, None], slopes, lapses)


@lru_cache(maxsize=256)
def log_likelihood(grid: Grid, length: int, solved: int, replicas: int) -> Array:
    """Return log P(solved | replicas, length) for every curve of the grid; kept, for trials are read at every ask."""
    return log_chance_of(grid, length, solved, replicas)


def log_chance_of(grid: Grid, length: int, solved: int, replicas: int) -> Array:
    """Return log P(solved | replicas, length) for every curve of the grid.

    With r = rho / (1 - rho), and rho = 0 the binomial:
    P(k) = C(n, k) prod_{i<k} (p + i r) prod_{j<n-k} (1 - p + j r) / prod_{m<n} (1 + m r)
    """
    chance = chance_table(grid, length)[..., None]
    spread = np.array([rho / (1 - rho) for rho, _ in CORRELATIONS])
    total = np.full(np.broadcast_shapes(chance.shape, spread.shape), np.log(comb(replicas, solved)))
    for i in range(solved):
        total += np.log(chance + i * spread)
    for j in range(replicas - solved):
        total += np.log(1 - chance + j * spread)
    return np.asarray(total - sum(np.log(1 + m * spread) for m in range(replicas)))


@lru_cache(maxsize=160)
def outcome_table(grid: Grid, length: int, replicas: int) -> Array:
    """Return P(k | length), the chance of every outcome: shape (k = 0..replicas, horizons, other parameters)."""
    outcomes = [np.exp(log_chance_of(grid, length, solved, replicas)) for solved in range(replicas + 1)]
    return np.stack(outcomes).reshape(replicas + 1, len(grid.theta), -1)
