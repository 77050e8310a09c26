"""Settings of one's own, followed to where they end."""

from math import log2

import pytest

from pipeline.horizon.ladder import ladder
from pipeline.tuning.final import PER_OCTAVE, Standing
from tests.benchmarks.landscape import SEEDS, error, followed
from tests.tuning.toy_tuning import BEST, PLAIN, Toy, horizon


def test_each_is_followed_to_its_own_horizon_whatever_the_others_do() -> None:
    settings = [{**PLAIN, "optimizer.lr": BEST * factor} for factor in (0.1, 1.0, 0.5)]
    found = followed(settings, ladder(2, 512, PER_OCTAVE), Toy())
    for values, standing in zip(settings, found, strict=True):
        assert standing.octaves == pytest.approx(log2(horizon(values)), abs=0.5 / PER_OCTAVE)
        assert standing.solved[-1] <= 1 < standing.solved[-2]
        assert standing.seeds == len(SEEDS) == 8


def test_the_error_is_that_of_binomial_counts() -> None:
    assert error(Standing({}, False, [2, 3], [8, 0], 8)) == 0
    assert error(Standing({}, False, [2, 3, 4], [8, 4, 0], 8)) == pytest.approx((0.25 / 8) ** 0.5 / PER_OCTAVE)
