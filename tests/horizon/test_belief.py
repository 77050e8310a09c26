"""What is believed where the curve does not simply fall: lengths that fail though longer ones are solved, plateaus."""

from math import comb

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.horizon.belief import belief, failing, log_free
from pipeline.horizon.findings import Findings
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import visited
from pipeline.horizon.plateau import chances, crossings
from pipeline.horizon.posterior import posterior
from pipeline.horizon.stopping import reason_to_stop
from tests.study.toy import options, seen

GRID = Grid(4, 512)
FALLING = seen((4, 4), (8, 4), (16, 4), (32, 3), (64, 0), (45, 1), (38, 2), (90, 0))


def test_where_the_curve_falls_it_is_the_posterior_of_the_model() -> None:
    found, alone = belief(FALLING, GRID), posterior(FALLING, GRID)
    assert found.with_a_band + found.with_two_steps < 0.02
    assert found.quantile(0.5) == pytest.approx(alone.quantile(0.5), abs=0.02)
    assert found.theta.sum() == pytest.approx(1)


def test_a_task_that_is_too_hard_where_it_is_too_short_is_not_below() -> None:
    chosen = options(length_max=512)
    assert reason_to_stop(Findings.of(seen((4, 0)), chosen)) is None
    found = Findings.of(seen((4, 0), (10, 0), (16, 4)), chosen)
    assert reason_to_stop(found) is None
    assert found.posterior.with_a_band > 0.9
    assert found.posterior.quantile(0.05) > 4


def test_below_is_said_once_longer_lengths_failed_too() -> None:
    assert reason_to_stop(Findings.of(seen((4, 0), (8, 0), (16, 0)), options(length_max=512))) == "below"


def test_beyond_a_dip_the_horizon_is_that_of_the_longer_lengths() -> None:
    dip = seen((4, 4), (8, 4), (16, 4), (20, 1), (23, 0), (45, 4), (64, 4), (90, 3), (128, 0), (108, 1))
    found = belief(dip, GRID)
    assert found.with_a_band > 0.8
    assert 80 < 2 ** found.quantile(0.5) < 120


def test_bands_are_runs_of_lengths_that_fewer_than_half_solve() -> None:
    bands = failing(visited(seen((4, 1), (8, 0), (16, 4), (32, 1))))
    assert [[here.length for here in band] for band in bands] == [[4], [4, 8], [32]]


@pytest.mark.parametrize(("solved", "replicas"), [(0, 4), (3, 8), (8, 8)])
def test_the_chance_of_a_band_is_an_integral(solved: int, replicas: int) -> None:
    direct, _ = quad(lambda p: 2 * comb(replicas, solved) * p**solved * (1 - p) ** (replicas - solved), 0, 0.5)
    assert np.exp(log_free(solved, replicas)) == pytest.approx(direct)


def test_two_steps_cross_one_half_where_they_are_said_to() -> None:
    np.testing.assert_allclose(np.diagonal(chances(crossings().reshape(-1, 1, 1, 1)).reshape(60, 60)), 0.5, atol=1e-6)


def test_evidence_of_a_plateau_widens_the_belief() -> None:
    steps = seen(*[(8, 4), (16, 4), (32, 2), (64, 3), (128, 2), (256, 0)] * 2)
    plain, doubted = belief(steps, GRID), belief(steps, GRID, doubted=True)
    assert doubted.with_two_steps > plain.with_two_steps > posterior(steps, GRID).with_two_steps == 0
    assert doubted.octaves(0.9) > posterior(steps, GRID).octaves(0.9)
