"""Where the horizon of one more choice lies: against closed forms, and against choices that are drawn."""

from collections.abc import Iterator
from dataclasses import replace
from math import log2

import numpy as np
import pytest

from pipeline.horizon import random_effects
from pipeline.horizon.estimate import Estimate
from pipeline.horizon.random_effects import Horizons, another
from tests.conftest import compose

OPTIONS = replace(compose().search, length_min=8, length_max=512, level=0.9)
Z = 1.6448536  # of a 90 % interval


def found(octaves: float, error: float = 0.1) -> Estimate:
    return Estimate(float(2.0**octaves), float(2.0 ** (octaves - Z * error)), float(2.0 ** (octaves + Z * error)))


def above(limit: float = 512.0) -> Estimate:
    return Estimate(None, limit, None, "above")


def below(limit: float = 8.0) -> Estimate:
    return Estimate(None, None, limit, "below")


def one(*estimates: Estimate) -> random_effects.Another:
    return another({"a": Horizons(estimates, OPTIONS)})["a"]


@pytest.fixture
def known_spread(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Choices whose spread is known, so that sums over a normal distribution have a closed form."""
    random_effects.steps.cache_clear()
    monkeypatch.setattr(random_effects, "SPREADS", np.array([0.3]))
    monkeypatch.setattr(random_effects, "SCALES", np.array([0.3]))
    yield 0.3
    random_effects.steps.cache_clear()


def moments(belief: random_effects.Another) -> tuple[float, float]:
    """Mean and standard deviation in octaves."""
    theta, weights = belief.horizon.grid.theta, belief.horizon.theta
    mean = float(theta @ weights)
    return mean, float(((theta - mean) ** 2 @ weights) ** 0.5)


def test_with_a_known_spread_the_horizon_of_one_more_choice_is_normal(known_spread: float) -> None:
    """mu ~ N(weighted mean, 1 / sum of weights), and theta another tau^2 beyond it."""
    places, errors = np.array([5.8, 6.4, 6.1]), np.array([0.1, 0.2, 0.15])
    weights = 1 / (known_spread**2 + errors**2)
    mean = (weights @ places) / weights.sum()
    deviation = (1 / weights.sum() + known_spread**2) ** 0.5
    told = one(*(found(place, error) for place, error in zip(places, errors, strict=True)))
    assert moments(told) == pytest.approx((mean, deviation), abs=0.005)


def test_choices_that_lead_to_the_same_horizon_leave_little_room_for_another() -> None:
    octaves = [one(*[found(6.0, 0.15)] * count).horizon.octaves(0.9) for count in (2, 3, 6)]
    assert octaves == sorted(octaves, reverse=True) and octaves[-1] < 2 * Z * 0.15


def test_many_choices_far_apart_are_no_problem_of_numbers() -> None:
    told = one(*[found(3.0, 0.05), found(9.0, 0.05)] * 200)
    assert told.horizon.theta.sum() == pytest.approx(1.0) and told.spread.median > 1


def test_choices_that_differ_by_more_than_their_intervals_widen_it() -> None:
    same, apart = one(found(6.0), found(6.05), found(5.95)), one(found(6.0), found(6.9), found(5.3))
    assert apart.spread.median > 3 * same.spread.median
    assert apart.t50.lower is not None and apart.t50.lower < 2**5.3
    assert apart.t50.upper is not None and apart.t50.upper > 2**6.9
    assert same.spread.lower <= same.spread.median <= same.spread.upper


def test_a_pair_with_one_choice_spreads_as_the_others_do() -> None:
    near = {str(n): Horizons([found(5 + n / 9), found(5.05 + n / 9), found(4.95 + n / 9)], OPTIONS) for n in range(6)}
    far = {str(n): Horizons([found(5 + n / 9), found(6 + n / 9), found(4.4 + n / 9)], OPTIONS) for n in range(6)}
    alone = {"alone": Horizons([found(6.0)], OPTIONS)}
    octaves = [another(pairs | alone)["alone"].horizon.octaves(0.9) for pairs in (near, far)]
    assert 2 * Z * 0.1 < octaves[0] < 0.5 * octaves[1]


@pytest.mark.parametrize(("limit", "word"), [(above(), "above"), (below(), "below")])
def test_choices_that_are_all_censored_lead_to_a_censored_one_unless_all_may_spread_far(
    limit: Estimate, word: str
) -> None:
    near = {str(n): Horizons([found(5.0), found(5.05), found(4.95)], OPTIONS) for n in range(6)}
    far = {str(n): Horizons([found(5.0), found(6.0), found(4.4)], OPTIONS) for n in range(6)}
    same = {"same": Horizons([limit] * 3, OPTIONS)}
    assert another(near | same)["same"].t50.censored == word
    assert another(far | same)["same"].t50.censored is None


def test_a_censored_choice_among_others_counts_as_beyond_its_limit_only() -> None:
    told = one(found(8.5), above(), above())
    assert told.t50.censored is None and 0.5 < told.horizon.above(512.0) < 0.95
    assert told.horizon.quantile(0.5) > one(found(8.5), found(8.5, 0.11), found(8.5, 0.12)).horizon.quantile(0.5)


def test_an_estimate_of_which_nothing_is_known_says_nothing() -> None:
    nothing = Estimate(None, None, None)
    assert one(found(6.0), found(6.3), nothing).t50 == one(found(6.0), found(6.3)).t50


def test_a_median_with_one_end_only_is_as_unsure_as_that_end_says() -> None:
    half = replace(found(6.0, 0.2), upper=None)
    assert one(half, found(6.1)).t50 == one(found(6.0, 0.2), found(6.1)).t50


def test_the_order_of_choices_and_pairs_does_not_matter() -> None:
    first, second = [found(6.0), found(6.5), above()], [found(4.0), found(4.6), found(4.1)]
    one_way = another({"a": Horizons(first, OPTIONS), "b": Horizons(second, OPTIONS)})
    other = another({"b": Horizons(second[::-1], OPTIONS), "a": Horizons(first[::-1], OPTIONS)})
    for name in "ab":
        assert one_way[name].horizon.theta == pytest.approx(other[name].horizon.theta, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.15, 0.4])
def test_intervals_hold_the_horizon_of_one_more_choice_as_often_as_they_say(sigma: float) -> None:
    """Nine pairs with three choices each, as in the default grid; 360 fresh choices in all."""
    draw = np.random.default_rng(0)
    held = []
    for _ in range(40):
        middles, spreads = draw.uniform(4, 8, 9), np.abs(draw.normal(0, sigma, 9))
        theta = middles[:, None] + spreads[:, None] * draw.normal(size=(9, 4))
        told = theta[:, :3] + 0.1 * draw.normal(size=(9, 3))
        beliefs = another({str(n): Horizons([found(y) for y in row], OPTIONS) for n, row in enumerate(told)})
        for n, belief in enumerate(beliefs.values()):
            lower, upper = belief.horizon.interval(0.9)
            held.append(lower <= theta[n, 3] <= upper)
    assert np.mean(held) == pytest.approx(0.9, abs=0.04) if sigma else np.mean(held) > 0.95


@pytest.mark.parametrize("tau", random_effects.SPREADS[[0, 9, 39]].tolist())
def test_a_step_leads_somewhere_with_certainty(tau: float) -> None:
    place = int(np.flatnonzero(tau == random_effects.SPREADS)[0])
    table = random_effects.steps(50)[place]
    assert table.sum(axis=1) == pytest.approx(1.0) and (table >= 0).all()
    centre = table[25] @ np.arange(50)
    assert centre == pytest.approx(25, abs=0.6)
    if log2(tau) < -1:
        assert ((table[25] @ (np.arange(50) - 25.0) ** 2) ** 0.5) * 0.05 == pytest.approx(tau, rel=0.1)
