"""The last round among settings, and the curve of the learning rate."""

from itertools import pairwise
from math import log2

import pytest

from pipeline.tuning.final import Standing, compete, ranked, rate_curve
from tests.tuning.toy_tuning import BEST, BUDGET, PLAIN, Toy

GOOD = {**PLAIN, "optimizer.lr": BEST, "cell.init": "orthogonal"}
LENGTHS = [16, 23, 32, 45, 64, 91, 128]


def standing(plain: bool, solved: list[int], cost: int = 0) -> Standing:
    return Standing(PLAIN, plain, LENGTHS[: len(solved)], solved, 4, cost)


def test_the_horizon_of_a_standing_is_exact_for_a_step() -> None:
    """Everyone solves up to 45 and nobody beyond: by Spearman and Kaerber the middle of 45 and 64, in octaves."""
    assert standing(False, [4, 4, 4, 4, 0]).octaves == pytest.approx((log2(16) + 1.5 + log2(16) + 2) / 2)


def test_each_seed_counts_an_equal_part_of_a_step() -> None:
    steps = [standing(False, [4, solved]).octaves for solved in range(5)]
    assert all(later - earlier == pytest.approx(0.125) for earlier, later in pairwise(steps))


def test_better_settings_win_on_the_seeds_that_all_share() -> None:
    toy = Toy()
    standings = compete([PLAIN, GOOD], [7, 8, 9, 10], LENGTHS, toy, BUDGET, 1e9)
    assert [each.plain for each in ranked(standings, 0.25)] == [False, True]
    for who, _, quorum in toy.calls:
        seeds = [entrant.seed for entrant in who]
        assert quorum is None and seeds == [7, 8, 9, 10] * (len(who) // 4)


def test_the_last_round_ends_when_one_is_left() -> None:
    toy = Toy(scatter=0.0)
    compete([PLAIN, GOOD], [1, 2], LENGTHS, toy, BUDGET, 1e9)
    assert [length for _, length, _ in toy.calls] == [16, 23]  # the plain settings reach 13


def test_the_last_round_stops_short_of_what_it_may_not_cost() -> None:
    toy = Toy(scatter=0.0)
    settings = [{**GOOD, "optimizer.lr": BEST * factor} for factor in (1.0, 0.99)]
    standings = compete(settings, [1, 2], LENGTHS, toy, BUDGET, 200_000.0)
    assert sum(each.cost for each in standings) <= 200_000
    assert [length for _, length, _ in toy.calls] == [16, 23, 32, 45]


def test_the_last_round_continues_past_lengths_that_all_solve_cheaply() -> None:
    """It foresees the next length from what this one took; with the whole budget for everyone it would end at 23."""
    toy = Toy(lambda values: 1000.0, scatter=0.0)
    standings = compete([GOOD, GOOD, GOOD], [1, 2, 3, 4], LENGTHS, toy, BUDGET, 392_000.0)
    assert standings[0].lengths == LENGTHS
    assert sum(each.cost for each in standings) <= 392_000


@pytest.mark.parametrize("allowance", [0.0, -1.0])
def test_the_first_length_of_the_last_round_is_tried_in_any_case(allowance: float) -> None:
    standings = compete([PLAIN, GOOD], [1, 2], LENGTHS, Toy(lambda values: 1000.0), BUDGET, allowance)
    assert [each.lengths for each in standings] == [[16], [16]]


def test_plain_settings_whose_search_ended_below_are_not_tried_again() -> None:
    toy = Toy(scatter=0.0)
    standings = compete([PLAIN, GOOD], [1, 2], [50, 71], toy, BUDGET, 1e9, log2(13.0))
    assert standings[0].octaves == log2(13.0) and standings[0].cost == 0
    assert {entrant.values["optimizer.lr"] for who, _, _ in toy.calls for entrant in who} == {BEST}
    assert ranked(standings, 0.25)[1] is standings[0]


@pytest.mark.parametrize(("solved", "first"), [([4, 3], True), ([4, 4], True), ([4, 4, 1], False), ([3], True)])
def test_the_plain_settings_stay_unless_they_are_beaten_by_the_margin(solved: list[int], first: bool) -> None:
    order = ranked([standing(True, [4, 3]), standing(False, solved)], 0.25)
    assert order[0].plain == first
    assert len(order) == 2


def test_among_equals_the_cheaper_is_first() -> None:
    order = ranked([standing(True, [1]), standing(False, [4, 4], 900), standing(False, [4, 4], 800)], 0.25)
    assert [each.cost for each in order] == [800, 900, 0]


def test_the_curve_has_the_chosen_rate_in_its_middle_and_falls_where_the_toy_does() -> None:
    curve = rate_curve(GOOD, [1, 2, 3, 4], 7, 4.0, 50, Toy(scatter=0.0))
    assert curve["rates"][3] == BEST
    assert curve["rates"] == pytest.approx([BEST * 4.0**power for power in range(-3, 4)], rel=5e-3)
    assert curve["solved"] == [0, 0, 4, 4, 4, 0, 0]  # a quarter of the rate: 50 steps
