"""The probability of an order, against counting and drawing."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import posterior
from pipeline.horizon.ranking import highest, order_probability, ranking

WEIGHTS = st.integers(2, 4).flatmap(
    lambda cells: st.integers(1, 5).flatmap(
        lambda bins: st.lists(
            st.lists(st.integers(0, 9), min_size=bins, max_size=bins).filter(any), min_size=cells, max_size=cells
        )
    )
)


def normalized(drawn: list[list[int]]) -> list[np.ndarray]:
    return [np.array(each) / sum(each) for each in drawn]


def counted(weights: list[np.ndarray]) -> float:
    """Over all combinations of bins; those of one bin are in order one time in the factorial of their number."""
    total = 0.0
    for bins in product(range(len(weights[0])), repeat=len(weights)):
        if list(bins) == sorted(bins):
            ties = [bins.count(each) for each in set(bins)]
            share = np.prod([1 / np.prod(np.arange(1, tie + 1)) for tie in ties])
            total += share * np.prod([weights[cell][place] for cell, place in enumerate(bins)])
    return float(total)


@settings(max_examples=60)
@given(WEIGHTS)
def test_the_probability_of_an_order_is_that_of_counting_all_bins(drawn: list[list[int]]) -> None:
    weights = normalized(drawn)
    assert order_probability(weights) == pytest.approx(counted(weights))


@settings(max_examples=60)
@given(WEIGHTS)
def test_all_orders_together_are_certain_and_so_is_that_one_is_first(drawn: list[list[int]]) -> None:
    weights = normalized(drawn)
    orders = {
        order: order_probability([weights[cell] for cell in order]) for order in permutations(range(len(weights)))
    }
    assert sum(orders.values()) == pytest.approx(1.0)
    for cell in range(len(weights)):
        first = sum(chance for order, chance in orders.items() if order[-1] == cell)
        others = [each for other, each in enumerate(weights) if other != cell]
        assert highest(weights[cell], others) == pytest.approx(first)


def seen(horizon: int, longest: int = 256) -> list[Observation]:
    return [Observation(length, 4 if length <= horizon else 0, 4) for length in range(8, longest, 16) for _ in range(3)]


def test_cells_far_apart_are_ranked_with_certainty_and_equal_ones_are_not() -> None:
    grid = Grid(8, 256)
    far = ranking({name: posterior(seen(at), grid) for name, at in {"a": 20, "b": 200, "c": 70}.items()})
    assert far.order == ("b", "c", "a")
    assert far.probability > 0.99 and min(far.pairs) > 0.99 and far.best["b"] > 0.99
    same = ranking({name: posterior(seen(70), grid) for name in "ab"})
    assert same.probability == same.pairs[0] == pytest.approx(0.5, abs=1e-6)


def test_cells_of_which_nothing_is_known_but_above_are_not_ranked() -> None:
    found = ranking({name: posterior(seen(1000), Grid(8, 256)) for name in "ab"})
    assert found.probability == pytest.approx(0.5, abs=1e-6)


def test_the_probability_agrees_with_draws_from_the_posteriors() -> None:
    grid, random = Grid(8, 256), np.random.default_rng(0)
    beliefs = {
        name: posterior(seen(at)[:count], grid) for name, at, count in (("a", 40, 9), ("b", 70, 12), ("c", 60, 6))
    }
    found = ranking(beliefs)
    draws = {
        name: random.choice(grid.theta, 200_000, p=belief.theta) + 0.05 * random.random(200_000)
        for name, belief in beliefs.items()
    }
    first, second, third = (draws[name] for name in found.order)
    assert found.probability == pytest.approx(float(((first > second) & (second > third)).mean()), abs=0.005)
    assert found.pairs[0] == pytest.approx(float((first > second).mean()), abs=0.005)
    assert sum(found.best.values()) == pytest.approx(1.0, abs=1e-4)


def test_cells_that_were_searched_between_other_lengths_are_not_ranked() -> None:
    with pytest.raises(UserError, match="between the same lengths"):
        ranking({"a": posterior(seen(70), Grid(8, 256)), "b": posterior(seen(70), Grid(8, 128))})


def test_of_many_cells_the_order_of_the_medians_is_ranked() -> None:
    grid = Grid(8, 256)
    found = ranking({f"c{at}": posterior(seen(at), grid) for at in (20, 40, 60, 90, 120, 160, 200, 240)})
    assert found.order == tuple(f"c{at}" for at in (240, 200, 160, 120, 90, 60, 40, 20))
    assert 0 < found.probability <= 1
