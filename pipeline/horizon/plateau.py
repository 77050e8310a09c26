"""The evidence for a curve of two steps against the model's one step.

    p(x) = (1 - w) sigma(-(x - theta) / s) + w sigma(-(x - theta + gap) / s)

A share w of the replicas has its horizon `gap` octaves before the others: the curve has a plateau at 1 - w. The Bayes
factor is the ratio of the two average likelihoods (Kass and Raftery 1995, JASA 90:773).
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from math import comb, log, log2

import numpy as np
from numpy.typing import NDArray

from pipeline.horizon.model import SLOPES, STEP, Array, Grid, log_likelihood, solve_chance
from pipeline.horizon.observation import Observation

Places = NDArray[np.int_]

GAPS = (1.0, 1.5, 2.0, 3.0)  # octaves
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)  # of replicas that fail early
STEEP = SLOPES[:5:2]  # slopes of both steps: with shallower ones there is no plateau
LAPSE = 0.005


def bayes_factor(seen: Sequence[Observation], grid: Grid) -> float:
    """Return the average likelihood of two steps over that of the model."""
    return float(np.exp(log_evidence_of_two_steps(seen, grid) - log_evidence(seen, grid)))


def log_evidence(seen: Sequence[Observation], grid: Grid) -> float:
    """Return the log of the model's likelihood of these trials, averaged over its prior."""
    total = grid.log_prior.copy()
    for trial in seen:
        total += log_likelihood(grid, trial.length, trial.solved, trial.replicas)
    return log_sum(total)


def log_evidence_of_two_steps(seen: Sequence[Observation], grid: Grid) -> float:
    """Return the same for two steps, independent replicas, everything else uniform."""
    return log_sum(log_likelihood_of_two_steps(seen, grid))


def log_likelihood_of_two_steps(seen: Sequence[Observation], grid: Grid) -> Array:
    """Return the log likelihood of every curve of two steps, with its even share of the prior."""
    total = np.full(len(horizons(grid)), -log(len(horizons(grid))))
    for trial in seen:
        solve, fail = log_chances(grid, trial.length)
        ways = log(comb(trial.replicas, trial.solved))
        total += ways + trial.solved * solve + (trial.replicas - trial.solved) * fail
    return total


@lru_cache(maxsize=160)
def log_chances(grid: Grid, length: int) -> tuple[Array, Array]:
    """Return log p and log (1 - p) of every curve of two steps."""
    theta = grid.theta[::2, None, None, None]
    chance = chances(log2(length) - theta).ravel()
    return np.log(chance), np.log(1 - chance)


def chances(beyond: Array) -> Array:
    """Return the chance to solve of every two steps at lengths so many octaves beyond theta, one axis for each."""
    gaps, shares, slopes = np.ix_(GAPS, SHARES, STEEP)
    late, early = (solve_chance(beyond, -gap, slopes, LAPSE) for gap in (0 * gaps, gaps))
    return np.asarray((1 - shares) * late + shares * early)


@cache
def crossings() -> Array:
    """Return the octaves from theta to where every two steps cross one half, by bisection."""
    low, high = np.full((2, len(GAPS), len(SHARES), len(STEEP)), [[[[-5.0]]], [[[2.0]]]])
    for _ in range(40):
        middle = (low + high) / 2
        above = chances(middle) > 0.5
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(high)


@lru_cache(maxsize=8)
def horizons(grid: Grid) -> Places:
    """Return T50 of every curve of two steps as a place on the grid's axis; its ends hold what lies beyond."""
    places = (grid.theta[::2, None, None, None] + crossings() - grid.theta[0]) / STEP
    return np.asarray(np.clip(np.rint(places), 0, len(grid.theta) - 1).astype(int).ravel())


@lru_cache(maxsize=160)
def outcomes(grid: Grid, length: int, replicas: int) -> tuple[NDArray[np.float32], ...]:
    """Return P(k | length) of every curve of two steps, for k = 0..replicas."""
    solve, fail = log_chances(grid, length)
    each = (comb(replicas, k) * np.exp(k * solve + (replicas - k) * fail) for k in range(replicas + 1))
    return tuple(chance.astype(np.float32) for chance in each)


def log_sum(values: Array) -> float:
    """Return log sum exp(values) without overflow."""
    return float(values.max() + np.log(np.exp(values - values.max()).sum()))
