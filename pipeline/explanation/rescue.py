"""Shares of failing seeds that solve after all, with intervals, and how sure it is that one share is larger."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.base.numbers import significant

PRIOR = 0.5  # of both counts: Jeffreys' prior of a share
POINTS = 2000  # quantiles over which a probability is averaged


@dataclass(frozen=True)
class Share:
    """How many of the seeds that were trained have solved."""

    solved: int
    seeds: int

    def __post_init__(self) -> None:
        """Raise ValueError where more solved than were trained."""
        if not 0 <= self.solved <= self.seeds:
            raise ValueError(f"{self.solved} of {self.seeds} seeds solved")

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ends of the credible interval of the share; where none or all solved, that end of the range."""
        tail, every = (1 - level) / 2, self.solved == self.seeds
        lower = self._quantile(2 * tail if every else tail) if self.solved else 0.0
        upper = 1.0 if every else self._quantile(1 - (tail if self.solved else 2 * tail))
        return significant(lower, 4), significant(upper, 4)

    def exceeds(self, other: "Share") -> float:
        """Return the probability that this share is larger than another, given both counts.

        The mean of the other's distribution function over this one's posterior, at quantiles of equal weight.
        """
        return _larger(self._counts, other._counts)

    @property
    def _counts(self) -> tuple[float, float]:
        """The parameters of the posterior, a beta distribution."""
        return PRIOR + self.solved, PRIOR + self.seeds - self.solved

    def _quantile(self, probability: float) -> float:
        from scipy.stats import beta  # who only reads a share does without scipy, a second

        return float(beta.ppf(probability, *self._counts))


@cache
def _larger(one: tuple[float, float], other: tuple[float, float]) -> float:
    from scipy.stats import beta

    quantiles = beta.ppf((np.arange(POINTS) + 0.5) / POINTS, *one)
    return significant(float(np.mean(beta.cdf(quantiles, *other))), 4)
