"""The length at which a pair is explained."""

import pytest

from pipeline.explanation.design import question
from tests.records.made import estimate


@pytest.mark.parametrize(
    ("slope", "share", "expected"),
    [(0.05, 0.125, 35), (0.5, 0.125, 64), (0.5, 0.5, 35), (5.0, 0.125, 128)],
)
def test_it_lies_where_the_curve_says_that_a_share_of_the_seeds_solves(
    slope: float, share: float, expected: int
) -> None:
    """log2 T = 5 + slope ln 7 for one in eight; beyond T50 by a rung at least, and within the range."""
    assert question(estimate(32.0, 28.0, 36.0), slope, 8, 128, 8, share).length == expected


def test_there_is_none_beyond_the_range_and_the_shortest_where_that_is_too_long() -> None:
    beyond = question(estimate(None, 128.0, None, "above"), 0.3, 8, 128, 8, 0.125)
    assert beyond.length is None and "beyond" in beyond.reason
    assert question(estimate(None, None, 8.0, "below"), 0.3, 8, 128, 8, 0.125).length == 8


def test_there_is_none_where_only_a_lower_end_of_the_horizon_is_known() -> None:
    least = question(estimate(None, 2013.0, None), 0.7, 2, 4871, 8, 0.125)
    assert least.length is None and "lower end" in least.reason
