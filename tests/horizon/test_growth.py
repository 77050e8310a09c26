"""How the horizon grows with the budget, what is foreseen, and the law of learning time."""

from math import exp, log

import numpy as np
import pytest

from pipeline.horizon.by_budget import halvings, horizon_by_budget
from pipeline.horizon.elasticity import growth
from pipeline.horizon.learning_time import learning_time
from pipeline.horizon.observation import Observation
from tests.benchmarks.search_truth import Paced
from tests.study.toy import options

CHOSEN = options(length_max=512)
LENGTHS = (8, 16, 32, 45, 64, 90, 128)


def drawn(pace: float, seed: int = 0) -> list[Observation]:
    """Return trials of a cell whose horizon is 64 at the budget and grows by `pace` octaves with each doubling."""
    draw = np.random.default_rng(seed)
    return [Paced(6.0, 0.15, pace).trial(length, 8, draw) for length in LENGTHS for _ in range(3)]


@pytest.mark.parametrize("pace", [0.2, 1.0])
def test_the_elasticity_is_what_the_horizon_gains_for_twice_the_budget(pace: float) -> None:
    seen = drawn(pace)
    found, foreseen = growth(seen, horizon_by_budget(seen, halvings(1000, 3), CHOSEN), CHOSEN)
    assert [each.budget for each in found] == [500, 1000]
    assert found[-1].lower - 0.05 <= pace <= found[-1].upper + 0.05
    assert [each.budget for each in foreseen] == [2000, 4000]
    assert foreseen[0].lower < foreseen[0].median < foreseen[1].median  # type: ignore[operator]
    widths = [log(each.upper / each.lower) for each in foreseen]  # type: ignore[operator]
    assert widths[0] < widths[1]


def test_nothing_is_foreseen_from_a_horizon_that_is_not_known() -> None:
    solved = [Observation(length, 4, 4, (100,) * 4, 1000) for length in (4, 8, 512)] * 3
    assert growth(solved, horizon_by_budget(solved, halvings(1000, 3), CHOSEN), CHOSEN) == ((), ())
    assert growth([], (), CHOSEN) == ((), ())


def timed(exponent: float, spread: float, budget: int, seed: int) -> list[Observation]:
    draw, seen = np.random.default_rng(seed), []
    for length in (4, 8, 16, 32, 64):
        times = [exp(log(20) + exponent * log(length) + spread * draw.standard_normal()) for _ in range(12)]
        updates = tuple(round(each) + 1 if each < budget else None for each in times)
        seen.append(Observation(length, sum(update is not None for update in updates), 12, updates, budget))
    return seen


def test_the_exponent_is_found_though_many_seeds_are_censored() -> None:
    inside = 0
    for seed in range(8):
        law = learning_time(timed(1.0, 0.4, 600, seed), 0.9)
        assert law is not None and law.censored > 10
        inside += law.lower <= 1.0 <= law.upper
        assert law.exponent == pytest.approx(1.0, abs=0.3)
    assert inside >= 5


def test_without_censored_seeds_it_is_least_squares() -> None:
    seen = timed(0.5, 0.2, 10**9, 0)
    rows = [(log(each.length), log(update)) for each in seen for update in each.updates if update]
    slope, begin = np.polyfit(*np.array(rows).T, 1)
    law = learning_time(seen, 0.9)
    assert law is not None
    assert (law.exponent, law.log_updates) == (pytest.approx(slope, abs=1e-3), pytest.approx(begin, abs=1e-2))
    assert law.updates(16.0) == pytest.approx(exp(begin + slope * log(16)), rel=0.01)


def test_there_is_no_law_of_one_length() -> None:
    assert learning_time([Observation(8, 1, 2, (100, None), 1000)], 0.9) is None
    assert learning_time([], 0.9) is None
