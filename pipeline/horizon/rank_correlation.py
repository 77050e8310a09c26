"""Rank correlation of a figure with the horizon, over searches whose horizons are known by posteriors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from scipy.stats import rankdata

from pipeline.horizon.posterior import Posterior

DRAWS = 2000  # of all horizons at once; the ends of a 90 % interval then move by about .01
SEED = 1


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho: the median over the posteriors of the horizons, with the central credible interval."""

    median: float
    lower: float
    upper: float
    searches: int

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on that side of zero, else 0."""
        return int(self.lower > 0) - int(self.upper < 0)


def rank_correlation(beliefs: Sequence[Posterior], figures: Sequence[float], level: float) -> RankCorrelation | None:
    """Return Spearman's rho between horizons and figures, one of each a search; None if fewer than three are finite.

    The interval holds what is not known about the horizons. The figures are taken as they are, and so is the choice of
    the searches: it says nothing about others.
    """
    known = [(belief, figure) for belief, figure in zip(beliefs, figures, strict=True) if np.isfinite(figure)]
    if len(known) < 3 or len({figure for _, figure in known}) < 2:
        return None
    horizons = draws([belief for belief, _ in known])
    rho = spearman(horizons, np.array([figure for _, figure in known]))
    lower, median, upper = np.quantile(rho, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return RankCorrelation(float(median), float(lower), float(upper), len(known))


def draws(beliefs: Sequence[Posterior]) -> ndarray:
    """Return horizons in octaves, (draw, search): each drawn from its search's posterior, independently."""
    uniform = np.random.Generator(np.random.Philox(SEED)).random((DRAWS, len(beliefs)))
    columns = [belief.quantiles(uniform[:, index]) for index, belief in enumerate(beliefs)]
    return np.column_stack(columns)


def spearman(rows: ndarray, figures: ndarray) -> ndarray:
    """Return Spearman's rho between each row and the figures: the correlation of ranks, ties sharing their mean."""
    ranks, others = rankdata(rows, axis=1), rankdata(figures)
    ranks, others = ranks - ranks.mean(axis=1, keepdims=True), others - others.mean()
    rho: ndarray = ranks @ others / np.sqrt((ranks**2).sum(axis=1) * (others @ others))
    return rho
