"""Rank correlation with horizons that are only known by their posteriors."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior, posterior
from pipeline.horizon.rank_correlation import rank_correlation, spearman

GRID = Grid(8, 512)


def known(length: float, trials: int = 12) -> Posterior:
    """What many trials on both sides of a horizon leave."""
    below, above = int(length / 1.2), int(length * 1.2)
    return posterior([Observation(below, 8, 8)] * trials + [Observation(above, 0, 8)] * trials, GRID)


def unknown() -> Posterior:
    return posterior([], GRID)


def test_rho_of_each_row_is_that_of_scipy_with_ties_too() -> None:
    random = np.random.default_rng(0)
    rows, figures = random.integers(0, 5, (20, 7)).astype(float), np.array([1.0, 1.0, 2.0, 5.0, 4.0, 3.0, 3.0])
    expected = [spearmanr(row, figures).statistic for row in rows]
    assert spearman(rows, figures) == pytest.approx(expected)


def test_horizons_that_rise_with_the_figure_have_rho_one() -> None:
    beliefs = [known(20), known(60), known(180)]
    found = rank_correlation(beliefs, [0.1, 0.2, 0.9], 0.9)
    assert found is not None
    assert (found.median, found.lower, found.upper, found.sign) == pytest.approx((1, 1, 1, 1))
    fallen = rank_correlation(beliefs, [0.9, 0.2, 0.1], 0.9)
    assert fallen is not None
    assert (fallen.median, fallen.sign) == pytest.approx((-1, -1))


def test_what_is_not_known_about_the_horizons_widens_the_interval_over_zero() -> None:
    found = rank_correlation([unknown() for _ in range(4)], [1.0, 2.0, 3.0, 4.0], 0.9)
    assert found is not None
    assert found.lower < -0.5 < 0.5 < found.upper
    assert found.sign == 0


def test_searches_without_the_figure_do_not_count_and_two_are_too_few() -> None:
    beliefs = [known(20), known(60), known(180)]
    assert rank_correlation(beliefs, [0.1, float("nan"), 0.9], 0.9) is None
    assert rank_correlation(beliefs, [0.5, 0.5, 0.5], 0.9) is None
    four = rank_correlation([*beliefs, known(100)], [0.1, float("nan"), 0.9, 0.5], 0.9)
    assert four is not None
    assert four.searches == 3


def test_the_same_searches_give_the_same_interval() -> None:
    beliefs = [known(20, 1), known(30, 1), known(40, 1)]
    assert rank_correlation(beliefs, [1.0, 2.0, 3.0], 0.9) == rank_correlation(beliefs, [1.0, 2.0, 3.0], 0.9)
