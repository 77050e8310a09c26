"""The evidence for a curve of two steps against the model's one step.

    p(x) = (1 - w) sigma(-(x - theta) / s) + w sigma(-(x - theta + gap) / s)

A share w of the replicas has its horizon `gap` octaves before the others: the curve has a plateau at 1 - w. The Bayes
factor is the ratio of the two average likelihoods (Kass and Raftery 1995, JASA 90:773).
"""

from collections.abc import Sequence
from functools import lru_cache
from math import comb, log, log2

import numpy as np

from pipeline.horizon.model import SLOPES, Array, Grid, log_likelihood, solve_chance
from pipeline.horizon.observation import Observation

GAPS = (1.0, 1.5, 2.0, 3.0)  # octaves
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)  # of replicas that fail early
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
    total = np.zeros(len(GAPS) * len(SHARES) * len(SLOPES) * len(grid.theta[::2]))
    for trial in seen:
        solve, fail = log_chances(grid, trial.length)
        ways = log(comb(trial.replicas, trial.solved))
        total += ways + trial.solved * solve + (trial.replicas - trial.solved) * fail
    return log_sum(total) - log(len(total))


@lru_cache(maxsize=160)
def log_chances(grid: Grid, length: int) -> tuple[Array, Array]:
    """Return log p and log (1 - p) of every curve of two steps."""
    theta = grid.theta[::2, None, None, None]
    gaps, shares, slopes = np.ix_(GAPS, SHARES, SLOPES)
    late = solve_chance(log2(length), theta, slopes, LAPSE)
    early = solve_chance(log2(length), theta - gaps, slopes, LAPSE)
    chance = ((1 - shares) * late + shares * early).ravel()
    return np.log(chance), np.log(1 - chance)


def log_sum(values: Array) -> float:
    """Return log sum exp(values) without overflow."""
    return float(values.max() + np.log(np.exp(values - values.max()).sum()))
