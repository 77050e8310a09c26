"""The posterior against a slow direct computation, against SweetSpot, and against itself."""

from itertools import product
from math import exp, log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats
from SweetSpot import Logistic, PsychometricFunction  # type: ignore[import-untyped]

from pipeline.horizon.model import CORRELATIONS, SLOPES, STEP, Array, Grid, chance_table, solve_chance
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior, posterior
from tests.study.toy import seen

GRID = Grid(4, 32)
TRIALS = seen((4, 4), (8, 4), (16, 3), (32, 0), (19, 2), (16, 1), (8, 3))


def slow_chance(x: float, theta: float, slope: float, lapse: float) -> float:
    """Return p(x) as the formula is written."""
    share = 0.5 / (1 - lapse)
    middle = theta + slope * log(share / (1 - share))
    return 0.005 + (1 - 0.005 - lapse) / (1 + exp((x - middle) / slope))


def slow_likelihood(trial: Observation, theta: float, slope: float, lapse: float, correlation: float) -> float:
    """Return P(k | n, T) by scipy."""
    chance = slow_chance(log2(trial.length), theta, slope, lapse)
    if correlation == 0:
        return float(stats.binom.pmf(trial.solved, trial.replicas, chance))
    size = (1 - correlation) / correlation
    return float(stats.betabinom.pmf(trial.solved, trial.replicas, chance * size, (1 - chance) * size))


def test_it_equals_the_slow_direct_computation() -> None:
    grid = Grid(8, 16)
    trials = seen((8, 3), (11, 4), (16, 1))
    curves = product(grid.theta, SLOPES, grid.lapses, CORRELATIONS)
    weights = []
    for theta, slope, (lapse, lapse_weight), (correlation, correlation_weight) in curves:
        weight = lapse_weight * correlation_weight
        for trial in trials:
            weight *= slow_likelihood(trial, theta, slope, lapse, correlation)
        weights.append(weight)
    expected = np.reshape(weights, (len(grid.theta), len(SLOPES), len(grid.lapses), len(CORRELATIONS)))
    np.testing.assert_allclose(posterior(trials, grid).weights, expected / expected.sum(), rtol=1e-9, atol=1e-30)


def test_the_horizon_is_where_the_curve_crosses_one_half() -> None:
    for slope, (lapse, _) in product(SLOPES, GRID.lapses):
        floor_lifts = 0.005 * (1 - 0.5 / (1 - lapse))
        assert solve_chance(3.0, 3.0, slope, lapse) == pytest.approx(0.5 + floor_lifts, abs=1e-12)


def sweetspot_of(grid: Grid, lapse: float) -> PsychometricFunction:
    """Return SweetSpot's model on the same horizons and slopes.

    Its curve is lower + (1 - lower - lapse) F((x - alpha) e^beta) with F(0) = f0 and slope 1 there, so
    e^beta = f0 (1 - f0) / s, and alpha is our theta where f0 = .5 / (1 - lapse).
    """
    middle = 0.5 / (1 - lapse)
    model = PsychometricFunction(gamma=0.005, lambda_=lapse, shape=Logistic(middle), flipX=True)
    return model.Set(alpha=grid.theta, beta=np.log(middle * (1 - middle) / np.array(SLOPES)))


def independent(grid: Grid, trials: list[Observation]) -> Posterior:
    """Return the posterior without intra-trial correlation, which SweetSpot does not know."""
    weights = posterior(trials, grid).weights.copy()
    weights[..., 1:] = 0
    return Posterior(grid, weights / weights.sum())


def test_it_equals_sweetspot_on_a_shared_grid() -> None:
    scores = []
    for lapse, weight in GRID.lapses:
        model = sweetspot_of(GRID, lapse)
        score = sum(model.LogScore(x=log2(trial.length), r=trial.solved, n=trial.replicas) for trial in TRIALS)
        scores.append(np.exp(score.reshape(len(GRID.theta), len(SLOPES))) * weight)
    expected = np.stack(scores, axis=2)
    weights = independent(GRID, TRIALS).weights[..., 0]
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=1e-6)
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-6)


def test_the_expected_information_is_the_entropy_that_sweetspot_expects_to_lose() -> None:
    grid = Grid(4, 32, lapses=((0.04, 1.0),))
    model = sweetspot_of(grid, 0.04)
    for trial in TRIALS:
        model.Observe(x=log2(trial.length), r=trial.solved, n=trial.replicas)
    found = independent(grid, TRIALS)
    for length in (8, 13, 16, 27):
        before = model.Entropy("posterior", "alpha").item()
        after = model.ExpectedEntropy(log2(length), n=4, params="alpha").item()
        nats = (before - after) * log(len(grid.theta))  # SweetSpot's unit is the entropy of the uniform distribution
        assert found.information(length, 4) == pytest.approx(nats, abs=1e-6)


def test_the_expected_information_is_that_of_the_definition() -> None:
    found = posterior(TRIALS, GRID)
    total = 0.0
    before = found.theta
    for solved in range(5):
        after = posterior([*TRIALS, Observation(13, solved, 4)], GRID).theta
        chance = outcome_chance(found, solved)
        total += chance * float((after * np.log(after / before)).sum())
    assert found.information(13, 4) == pytest.approx(total, rel=1e-9)


def outcome_chance(found: Posterior, solved: int) -> float:
    """Return P(k of 4 solve length 13)."""
    chance = 0.0
    for index, weight in np.ndenumerate(found.weights):
        theta, slope = float(GRID.theta[index[0]]), SLOPES[index[1]]
        lapse, correlation = GRID.lapses[index[2]][0], CORRELATIONS[index[3]][0]
        if weight > 1e-12:
            chance += weight * slow_likelihood(Observation(13, solved, 4), theta, slope, lapse, correlation)
    return chance


def test_quantiles_of_the_prior_are_those_of_a_uniform_distribution() -> None:
    prior = posterior([], GRID)
    low, high = GRID.theta[0] - STEP / 2, GRID.theta[-1] + STEP / 2
    for level in (0.05, 0.3, 0.5, 0.95):
        assert prior.quantile(level) == pytest.approx(low + level * (high - low))
    assert prior.above(32.0) == pytest.approx((high - 5) / (high - low))
    assert prior.below == pytest.approx((2 - low) / (high - low))
    assert prior.overdispersed == pytest.approx(0.2)
    assert prior.slope == pytest.approx((0.05 * 1.1) ** 0.5)


@settings(deadline=None, max_examples=30)
@given(some.lists(some.tuples(some.integers(4, 32), some.integers(0, 4)), max_size=12), some.randoms())
def test_the_order_of_trials_does_not_matter(pairs: list[tuple[int, int]], draw: object) -> None:
    shuffled = list(pairs)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(posterior(seen(*pairs), GRID).weights, posterior(seen(*shuffled), GRID).weights)


@settings(deadline=None, max_examples=30)
@given(some.lists(some.tuples(some.integers(4, 32), some.integers(0, 3)), min_size=1, max_size=10))
def test_one_more_solved_replica_never_lowers_the_horizon(pairs: list[tuple[int, int]]) -> None:
    better = [(length, solved + 1) for length, solved in pairs]
    assert posterior(seen(*better), GRID).quantile(0.5) > posterior(seen(*pairs), GRID).quantile(0.5)


def test_the_band_of_the_curve_holds_its_median_and_falls_with_length() -> None:
    band = posterior(TRIALS, GRID).curve(range(4, 33), 0.9)
    assert np.all(band.lower < band.median)
    assert np.all(band.median < band.upper)
    assert np.all(np.diff(band.median) < 0)


def test_the_band_of_the_curve_is_that_of_drawn_curves() -> None:
    found = posterior(TRIALS, GRID)
    curves = found.weights.sum(axis=3).ravel()
    drawn = np.random.default_rng(1).choice(len(curves), size=200_000, p=curves)
    band = found.curve([8, 16, 27], 0.9)
    for place, length in enumerate((8, 16, 27)):
        chances: Array = chance_table(GRID, length).ravel()[drawn]
        quantiles = np.quantile(chances, [0.05, 0.5, 0.95])
        np.testing.assert_allclose([band.lower[place], band.median[place], band.upper[place]], quantiles, atol=0.01)
        assert found.chance(length) == pytest.approx(chances.mean(), abs=0.005)


def test_correlated_replicas_are_noticed_and_widen_the_interval() -> None:
    split = seen(*[(16, 4), (16, 0)] * 6)
    even = seen(*[(16, 2)] * 12)
    assert posterior(split, GRID).overdispersed > 0.99
    assert posterior(even, GRID).overdispersed < 0.1
    assert posterior(split, GRID).octaves(0.9) > posterior(even, GRID).octaves(0.9)
