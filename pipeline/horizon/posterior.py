"""The posterior over horizons, given the trials so far, and what the next trial is expected to tell.

On the grid of `model.py`: posterior = prior x product over trials of P(k | n, T).
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log2

import numpy as np

from pipeline.horizon import plateau
from pipeline.horizon.model import (
    CORRELATIONS,
    SLOPES,
    STEP,
    Array,
    Grid,
    chance_table,
    log_likelihood,
    outcome_table,
)
from pipeline.horizon.observation import Observation

UNLIKELY = 0.02  # probability of two steps below which an ask leaves them out
NEGLIGIBLE = 1e-12  # horizons of less weight at the ends are left out where only speed notices


@dataclass(frozen=True)
class Curve:
    """The chance to solve against length, with a pointwise credible band; all arrays have one value a length."""

    lengths: Array
    median: Array
    lower: Array
    upper: Array


class Quantiles(ABC):
    """A belief about a length, in octaves, given by its cumulative weight at the edges of bins."""

    @property
    @abstractmethod
    def range(self) -> tuple[int, int]:
        """The shortest and the longest length that may be tried."""

    @property
    @abstractmethod
    def _edges(self) -> Array:
        """Edges of the bins, rising."""

    @property
    @abstractmethod
    def _cumulative(self) -> Array:
        """The weight below each edge."""

    def quantile(self, level: float) -> float:
        """Return the length, in octaves, below which lies this share of the weight."""
        return float(self.quantiles(np.array(level)))

    def quantiles(self, levels: Array) -> Array:
        """Return the length, in octaves, for each share of the weight."""
        return np.asarray(np.interp(levels, self._cumulative, self._edges))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central credible interval in octaves, e.g. the .05 and .95 quantile for level .9."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def octaves(self, level: float) -> float:
        """Return the width of the credible interval in octaves; 2 to that power is its factor."""
        lower, upper = self.interval(level)
        return upper - lower

    def above(self, length: float) -> float:
        """Return the probability that it lies above this length."""
        return float(1 - np.interp(log2(length), self._edges, self._cumulative))

    @property
    def below(self) -> float:
        """Probability that the length lies below the shortest one that may be tried."""
        return float(np.interp(log2(self.range[0]), self._edges, self._cumulative))


@dataclass(frozen=True, eq=False)
class Band:
    """Lengths that may fail though longer ones are solved: their end, and the weights of all curves in that case."""

    end: int
    weights: Array


@dataclass(frozen=True, eq=False)
class Posterior(Quantiles):
    """The belief about T50: weights of all curves of the grid.

    They have the shape (horizons, slopes, lapses, correlations); with those of curves of two steps their sum is 1.
    """

    grid: Grid
    weights: Array
    bands: tuple[Band, ...] = ()  # counted in `weights` as well
    two_steps: Array | None = None  # of the curves in `plateau.horizons`

    @property
    def range(self) -> tuple[int, int]:
        """The shortest and the longest length that may be tried."""
        return self.grid.shortest, self.grid.longest

    @cached_property
    def theta(self) -> Array:
        """Weight of each horizon of the grid, everything else summed out."""
        falling = np.asarray(self.weights.sum(axis=(1, 2, 3)))
        if self.two_steps is None:
            return falling
        return falling + np.bincount(plateau.horizons(self.grid), self.two_steps, len(falling))

    @cached_property
    def with_two_steps(self) -> float:
        """Probability that the curve has two steps."""
        return 0.0 if self.two_steps is None else float(self.two_steps.sum())

    @property
    def with_a_band(self) -> float:
        """Probability that lengths fail though longer ones are solved."""
        return float(sum(band.weights.sum() for band in self.bands))

    @property
    def slope(self) -> float:
        """Geometric mean of the slope s, in octaves: large is a shallow curve."""
        return float(np.exp(self.weights.sum(axis=(0, 2, 3)) @ np.log(SLOPES) / self.weights.sum()))

    @property
    def overdispersed(self) -> float:
        """Probability that the replicas of a trial agree more than independent ones would."""
        independent = [rho == 0 for rho, _ in CORRELATIONS].index(True)
        return float(1 - self.weights[..., independent].sum() / self.weights.sum())

    def chance(self, length: int) -> float:
        """Return the mean chance that a replica solves this length."""
        return float((chance_table(self.grid, length) * self._curves).sum())

    def curve(self, lengths: Sequence[int], level: float) -> Curve:
        """Return the median chance to solve at each length with its central credible band."""
        shares = (0.5, (1 - level) / 2, (1 + level) / 2)
        weights = self._curves.ravel()
        points = [weighted_quantiles(chance_table(self.grid, length).ravel(), weights, shares) for length in lengths]
        median, lower, upper = np.array(points).T
        return Curve(np.array(lengths, dtype=float), median, lower, upper)

    def information(self, length: int, replicas: int) -> float:
        """Return the expected information (nats) that a trial at this length gives about the horizon.

        I(T) = sum over theta, k of J log(J / (P(theta) P(k | T))),  J = P(theta) P(k | theta, T)

        Where the length lies in a band that may fail whatever the horizon, it tells nothing in that case.
        """
        table = outcome_table(self.grid, length, replicas)
        weights = self._weights_outside(length).reshape(table.shape[1:])
        likely = slice(*np.flatnonzero(self.theta > NEGLIGIBLE)[[0, -1]] + [0, 1])
        joint = np.einsum("kto,to->kt", table[:, likely], weights[likely])
        if self.two_steps is not None and self.with_two_steps > UNLIKELY:
            places = plateau.horizons(self.grid) - likely.start
            inside = (places >= 0) & (places < joint.shape[1])
            for row, chance in zip(joint, plateau.outcomes(self.grid, length, replicas), strict=True):
                row += np.bincount(places[inside], (self.two_steps * chance)[inside], len(row))
        share = float(joint.sum())
        return share * mutual_information(joint / share)

    def _weights_outside(self, length: int) -> Array:
        """Return the weights without those of bands that hold this length."""
        around = [band.weights for band in self.bands if band.end >= length]
        return self.weights - np.asarray(sum(around)) if around else self.weights

    @cached_property
    def _curves(self) -> Array:
        return np.asarray(self.weights.sum(axis=3) / self.weights.sum())

    @cached_property
    def _edges(self) -> Array:
        theta = self.grid.theta
        return np.append(theta - STEP / 2, theta[-1] + STEP / 2)

    @cached_property
    def _cumulative(self) -> Array:
        return np.append(0.0, np.cumsum(self.theta))


def posterior(observations: Sequence[Observation], grid: Grid) -> Posterior:
    """Return prior x likelihood of all trials, each at its own length; their order does not matter."""
    total = log_weights(observations, grid)
    weights = np.exp(total - total.max())
    return Posterior(grid, weights / weights.sum())


def log_weights(observations: Sequence[Observation], grid: Grid) -> Array:
    """Return log prior + log likelihood of every curve of the grid."""
    total = grid.log_prior.copy()
    outcomes = Counter((seen.length, seen.solved, seen.replicas) for seen in observations)
    for (length, solved, replicas), times in sorted(outcomes.items()):
        total += times * log_likelihood(grid, length, solved, replicas)
    return total


def mutual_information(joint: Array) -> float:
    """Return the mutual information (nats) of the two axes of a joint distribution."""
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / product[seen])).sum())


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Return the values below which lie these shares of the weight; between values, interpolated at mid-weight."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order]) - weights[order] / 2
    return np.asarray(np.interp(shares, cumulative / weights.sum(), values[order]))
