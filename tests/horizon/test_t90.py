"""T90, the length that nine in ten replicas solve."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from pipeline.horizon.belief import belief as believed
from pipeline.horizon.estimate import estimate_ninety
from pipeline.horizon.findings import Findings
from pipeline.horizon.model import CORRELATIONS, SLOPES, Grid, solve_chance
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import mutual_information
from pipeline.horizon.stopping import ninety_settled, wants_ninety
from pipeline.horizon.t90 import LAPSES, ninety
from tests.study.toy import options, seen

GRID = Grid(4, 64)
TRIALS = seen((4, 4), (8, 4), (16, 4), (32, 1), (23, 2), (19, 3), (27, 1), (11, 4), (13, 4), (9, 4))


def slow_points(trials: list[Observation]) -> tuple[list[float], list[float], float]:
    """Return T90 in octaves and weight of every curve that has one, and the weight of those that have not."""
    belief = believed(trials, Grid(GRID.shortest, GRID.longest, LAPSES), two_steps=False)
    places, weights, undefined = [], [], 0.0
    for index in np.ndindex(*belief.weights.shape[:3]):
        theta, slope, lapse = float(belief.grid.theta[index[0]]), SLOPES[index[1]], LAPSES[index[2]][0]
        weight = belief.weights[index].sum()
        if lapse >= 0.1:
            undefined += weight
        elif weight > 1e-12:
            weights.append(weight)
            places.append(brentq(lambda x: float(solve_chance(x, theta, slope, lapse)) - 0.9, theta - 20, theta + 20))  # noqa: B023
    return places, weights, undefined


def test_its_distribution_is_that_of_the_curves_roots() -> None:
    belief = ninety(TRIALS, GRID)
    places, weights, undefined = slow_points(TRIALS)
    assert belief.undefined == pytest.approx(undefined)
    order = np.argsort(places)
    cumulative = np.cumsum(np.array(weights)[order]) / np.sum(weights)
    for level in (0.05, 0.5, 0.95):
        slow = np.array(places)[order][np.searchsorted(cumulative, level)]
        assert belief.quantile(level) == pytest.approx(slow, abs=0.05)


def test_its_information_is_that_of_the_joint_distribution() -> None:
    belief = ninety(TRIALS, GRID)
    base = belief.base
    table: dict[int | str, np.ndarray[Any, Any]] = {}
    shifts = np.rint(belief._shifts / 0.05).astype(int)
    for index in product(*map(range, base.weights.shape)):
        theta, slope, lapse, correlation = index
        weight = base.weights[index]
        if weight < 1e-12:
            continue
        place = theta + shifts[slope, lapse] if LAPSES[lapse][0] < 0.1 else "undefined"
        chance = float(solve_chance(np.log2(11.0), base.grid.theta[theta], SLOPES[slope], LAPSES[lapse][0]))
        row = table.setdefault(place, np.zeros(5))
        row += weight * outcome_chances(chance, CORRELATIONS[correlation][0])
    assert belief.information(11, 4) == pytest.approx(mutual_information(np.array(list(table.values())).T), rel=1e-6)


def outcome_chances(chance: float, correlation: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return P(k of 4)."""
    if correlation == 0:
        return np.asarray(stats.binom.pmf(range(5), 4, chance))
    size = (1 - correlation) / correlation
    return np.asarray(stats.betabinom.pmf(range(5), 4, chance * size, (1 - chance) * size))


def test_it_lies_below_the_horizon() -> None:
    belief = ninety(TRIALS, GRID)
    for level in (0.05, 0.5, 0.95):
        assert belief.quantile(level) < belief.base.quantile(level)


def test_a_cell_that_fails_one_in_five_everywhere_has_none() -> None:
    often = seen(*[(4, 3), (8, 3), (16, 4), (8, 3), (16, 2), (32, 1), (64, 0)] * 5)
    belief = ninety(often, GRID)
    found = estimate_ninety(belief, options())
    assert belief.undefined > 0.9
    assert (found.censored, found.median) == ("undefined", None)
    assert found.probability == pytest.approx(belief.undefined, rel=1e-5)


def test_it_is_asked_for_once_the_horizon_is_known_and_not_for_ever() -> None:
    chosen = options(length_max=64, t90=True, factor=1.5, t90_trials=2)
    known = seen(*[(11, 4), (16, 3), (23, 2), (32, 1), (45, 0)] * 2)
    assert not wants_ninety(Findings.of(known[:2], chosen))
    assert wants_ninety(Findings.of(known, chosen))
    asked = [*known, *[Observation(11, 4, 4, aim="t90")] * 2]
    assert not wants_ninety(Findings.of(asked, chosen))
    assert not wants_ninety(Findings.of(known, options(length_max=64, t90=False)))


def test_it_is_settled_when_it_is_located_or_surely_undefined() -> None:
    assert not ninety_settled(ninety([], GRID), options())
    assert ninety_settled(ninety(seen(*[(16, 4), (23, 2), (32, 0), (11, 4)] * 12), GRID), options())
    assert ninety_settled(ninety(seen(*[(4, 3), (8, 3), (64, 0)] * 20), GRID), options())
