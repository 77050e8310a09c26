"""Settings that climb: who goes on, what it costs, how far they came."""

from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tuning.climbing import Climb, Entrant, RaceOutcome, climb, octaves_climbed
from tests.tuning.toy_tuning import BUDGET, PLAIN, Toy

LENGTHS = [10, 20, 40, 80, 160]


def entrants(*rates: float) -> list[Entrant]:
    return [Entrant({**PLAIN, "optimizer.lr": rate}, seed) for seed, rate in enumerate(rates)]


def finish(length: int, solved: bool, updates: int = BUDGET, progress: float = 0.0) -> RaceOutcome:
    return RaceOutcome(length, solved, updates, progress, length * updates)


@given(
    rates=st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=12),
    kept=st.sampled_from([0.25, 0.5, 0.8]),
    allowance=st.floats(0, 2e6),
)
def test_a_climb_never_costs_more_than_it_may_and_only_solvers_go_on(
    rates: list[float], kept: float, allowance: float
) -> None:
    toy = Toy()
    climbs = climb(entrants(*rates), LENGTHS, toy, kept, BUDGET, allowance)
    assert sum(each.cost for each in climbs) <= allowance
    for each in climbs:
        assert [end.length for end in each.outcomes] == LENGTHS[: len(each.outcomes)]
        assert all(end.solved for end in each.outcomes[:-1])
    fields = [len(who) for who, _, _ in toy.calls]
    assert fields == sorted(fields, reverse=True)
    assert all(quorum == ceil(kept * len(who)) for who, _, quorum in toy.calls)


def test_the_best_settings_go_farthest() -> None:
    rates = (0.0001, 0.001, 0.01, 0.09)
    climbs = climb(entrants(*rates), LENGTHS, Toy(scatter=0.0), 0.5, BUDGET, 1e9)
    assert max(climbs, key=lambda each: each.solved_length).entrant.values["optimizer.lr"] == 0.01
    assert [each.solved_length for each in climbs][2] == 40  # 70 by the toy's curve, with weights as torch's


def test_where_not_all_can_be_afforded_the_fastest_go_on() -> None:
    toy = Toy(scatter=0.0)
    together = entrants(0.01, 0.008, 0.006, 0.004)
    first = sum(end.cost for end in toy(together, 10, 4))
    climb(together, LENGTHS, fresh := Toy(scatter=0.0), 0.99, BUDGET, 4.0 * 10 * BUDGET + 10_000)
    assert first < 4 * 10 * BUDGET
    assert [entrant.values["optimizer.lr"] for entrant in fresh.calls[1][0]] == [0.01, 0.008]


@pytest.mark.parametrize(
    ("outcomes", "octaves"),
    [
        ([finish(16, False)], 0.0),
        ([finish(16, False, progress=1.0)], log2(16) / 2),
        ([finish(16, True, 400), finish(32, False)], log2(16)),
        ([finish(16, True, 400), finish(32, False, progress=0.5)], log2(16) + 0.25),
        ([finish(16, True, 400), finish(32, True, 1000)], log2(32)),
        ([finish(16, True, 400), finish(32, True, 500)], log2(32) + 0.25),
    ],
)
def test_how_far_settings_came_is_the_longest_length_and_part_of_the_way(
    outcomes: list[RaceOutcome], octaves: float
) -> None:
    assert octaves_climbed(Climb(Entrant(PLAIN, 0), outcomes), BUDGET) == pytest.approx(octaves)


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.floats(0, 1), st.integers(1, BUDGET))
def test_a_climb_that_went_on_for_longer_came_farther(solved: list[bool], progress: float, updates: int) -> None:
    lengths = [2**place for place in range(2, 12)]
    count = len(solved)
    short = Climb(Entrant(PLAIN, 0), [finish(t, True, updates) for t in lengths[:count]])
    short.outcomes[-1] = finish(lengths[count - 1], False, BUDGET, progress)
    longer = Climb(Entrant(PLAIN, 0), [finish(t, True, updates) for t in lengths[:count]])
    assert octaves_climbed(longer, BUDGET) > octaves_climbed(short, BUDGET)


def test_a_climb_survives_the_way_through_json() -> None:
    (climbed,) = climb(entrants(0.01), LENGTHS, Toy(), 0.5, BUDGET, 1e9)
    assert Climb.from_dict(climbed.as_dict()) == climbed
