"""Shares with intervals against the binomial distribution, and the odds that the rule's text states."""

import numpy as np
import pytest

from pipeline.explanation.rescue import Share


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((3, 4), (0, 4), 0.989), ((2, 4), (0, 4), 0.952), ((5, 8), (2, 8), 0.936), ((10, 16), (4, 16), 0.985)],
)
def test_how_sure_a_larger_share_is(one: tuple[int, int], other: tuple[int, int], expected: float) -> None:
    assert Share(*one).exceeds(Share(*other)) == pytest.approx(expected, abs=0.001)
    draws = [np.random.default_rng(0).beta(k + 0.5, n - k + 0.5, 200_000) for k, n in (one, other)]
    np.random.default_rng(1).shuffle(draws[1])
    assert np.mean(draws[0] > draws[1]) == pytest.approx(expected, abs=0.004)


def test_no_share_is_surely_larger_than_itself() -> None:
    assert Share(3, 8).exceeds(Share(3, 8)) == pytest.approx(0.5, abs=1e-3)


def test_an_interval_ends_where_nothing_or_everything_solved() -> None:
    assert Share(0, 8).interval(0.9)[0] == 0.0 and Share(8, 8).interval(0.9)[1] == 1.0
    assert Share(0, 8).interval(0.9)[1] == pytest.approx(1 - Share(8, 8).interval(0.9)[0], rel=1e-3)
    assert Share(4, 8).interval(0.9) == pytest.approx((0.2393, 0.7607))
    with pytest.raises(ValueError, match="3 of 2"):
        Share(3, 2)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_intervals_hold_the_share_about_as_often_as_they_say(share: float) -> None:
    solved = np.random.default_rng(0).binomial(16, share, 2000)
    ends = {count: Share(int(count), 16).interval(0.9) for count in np.unique(solved)}
    held = np.mean([ends[count][0] <= share <= ends[count][1] for count in solved])
    assert 0.84 <= held <= 0.96
