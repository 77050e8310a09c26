"""Where a horizon lies when its settings are chosen again: the luck of the choice beside that of the seeds.

The interval of a search is that of the settings it was given. Chosen again with another seed (`pipeline.retune`), the
settings are others, and so is the horizon. For choice k of pair p, in octaves (log2 steps):

    y_pk     = theta_pk + e_pk     what its search found; e_pk ~ N(0, s_pk^2), s_pk from the interval
    theta_pk ~ N(mu_p, tau_p^2)    horizon of the settings that were chosen; mu_p is uniform on the grid of the search
    tau_p    ~ half-normal(sigma)  spread of the choices of a pair; sigma, common to all, is uniform up to 1 octave

a meta-analysis with random effects (Higgins, Thompson, Spiegelhalter 2009, J. R. Stat. Soc. A 172:137), whose spreads
are partially pooled (Gelman 2006, Bayesian Analysis 1:515): three choices say little of the spread of a pair, 27 say
more. What is wanted is theta of one more choice. Everything is summed on a grid, so nothing is drawn by chance.

Each search trains with weights and sequences of its own (`pipeline.retune`), so the errors e_pk are independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import log2

import numpy as np
from scipy.special import ndtr, ndtri

from pipeline.base.numbers import significant
from pipeline.horizon.estimate import Estimate, estimate, summary
from pipeline.horizon.model import STEP, Array, Grid
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior, weighted_quantiles

SPREADS: Array = STEP * np.arange(1.0, 41.0)  # tau: .05 to 2 octaves
SCALES: Array = STEP * np.arange(1.0, 21.0)  # sigma: .05 to 1 octave
TINY = 1e-300  # the least probability whose logarithm is taken


@dataclass(frozen=True)
class Horizons:
    """The horizons of one pair, each with the settings of a choice of its own."""

    found: Sequence[Estimate]
    options: SearchOptions  # of their searches

    @cached_property
    def grid(self) -> Grid:
        """Where mu and theta may lie."""
        return Grid.of(self.options)

    @cached_property
    def likelihood(self) -> Array:
        """P(what was found | mu, tau), shape (mu, tau), up to a factor."""
        total = np.zeros((len(self.grid.theta), len(SPREADS)))
        for each in self.found:
            total += self._of_limits(each) if each.median is None else self._of_median(each)
        return np.asarray(np.exp(total - total.max()))

    def _of_median(self, known: Estimate) -> Array:
        """Return log N(y; mu, tau^2 + s^2)."""
        y, s = centre(known, self.options.level)
        variance = SPREADS**2 + s**2
        return np.asarray(-((y - self.grid.theta[:, None]) ** 2 / variance + np.log(variance)) / 2)

    def _of_limits(self, known: Estimate) -> Array:
        """Return log P(theta beyond the limit), for a horizon of which no more is known; 0 where nothing is."""
        theta = self.grid.theta[:, None]
        above = -np.inf if known.lower is None else log2(known.lower)
        below = np.inf if known.upper is None else log2(known.upper)
        chance = ndtr((below - theta) / SPREADS) - ndtr((above - theta) / SPREADS)
        return np.asarray(np.log(np.maximum(chance, TINY)))


def centre(known: Estimate, level: float) -> tuple[float, float]:
    """Return median and standard error of a horizon in octaves; the latter from both ends of the interval, or one.

    Where neither is known, half an interval counts as an octave.
    """
    assert known.median is not None
    middle = log2(known.median)
    ends = [abs(log2(end) - middle) for end in (known.lower, known.upper) if end is not None]
    return middle, (float(np.mean(ends)) if ends else 1.0) / float(ndtri((1 + level) / 2))


@dataclass(frozen=True)
class Spread:
    """How far the choices of a pair spread: tau in octaves, with its interval."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Another:
    """What one more choice of settings leads to."""

    horizon: Posterior
    t50: Estimate  # the same, stated as a horizon
    spread: Spread


def another(pairs: Mapping[str, Horizons]) -> dict[str, Another]:
    """Return the horizon of one more tuning of each pair; a pair tuned once has the spread that the others show."""
    prior = half_normal()
    joint = {name: pair.likelihood @ prior.T for name, pair in pairs.items()}  # (mu, sigma)
    evidence = {name: np.log(np.maximum(table.sum(axis=0), TINY)) for name, table in joint.items()}
    whole = np.asarray(sum(evidence.values()))
    found = {}
    for name, pair in pairs.items():
        others = np.exp(whole - evidence[name] - (whole - evidence[name]).max())  # what they say of sigma
        weights = pair.likelihood * (others @ prior)  # (mu, tau)
        weights /= weights.sum()
        theta = np.einsum("mt,tmh->h", weights, steps(len(pair.grid.theta)))
        horizon = Posterior(pair.grid, theta[:, None, None, None])
        t50 = estimate(summary(horizon, pair.options), pair.options)
        found[name] = Another(horizon, t50, spread(weights.sum(axis=0), pair.options.level))
    return found


def spread(weights: Array, level: float) -> Spread:
    """Return median and interval of tau."""
    values = weighted_quantiles(SPREADS, weights, (0.5, (1 - level) / 2, (1 + level) / 2))
    return Spread(*(significant(float(value)) for value in values))


def half_normal() -> Array:
    """Return P(tau | sigma), shape (sigma, tau)."""
    density = np.exp(-((SPREADS / SCALES[:, None]) ** 2) / 2)
    return np.asarray(density / density.sum(axis=1, keepdims=True))


@cache
def steps(count: int) -> Array:
    """Return P(theta | mu, tau) on a grid of so many horizons, shape (tau, mu, theta); beyond an end is in it."""
    edges = (np.arange(1, count) - 0.5) * STEP
    below = ndtr((edges - np.arange(count)[:, None] * STEP) / SPREADS[:, None, None])
    ends = np.zeros((len(SPREADS), count, 1))
    return np.diff(np.concatenate([ends, below, ends + 1], axis=2), axis=2)
