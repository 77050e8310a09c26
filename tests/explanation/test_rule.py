"""The verdict: on stated cases, and that it never contradicts what is shown beside it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.explanation.arms import ARMS, BOTH, BUDGET, LARGER, LUCK, MEMORY, REGULARIZER, SMALLER
from pipeline.explanation.evidence import Evidence
from pipeline.explanation.rescue import Share
from pipeline.explanation.rule import (
    CANNOT,
    FEWEST,
    MIXED,
    SLOW,
    UNKNOWN,
    UNSTABLE,
    VANISHING,
    VERDICTS,
    Case,
    counts,
    seed_verdict,
    verdict,
)
from pipeline.explanation.vanishing import summary, vanishes
from tests.explanation.made import ARRIVES, BLOWN, GONE, case, evidence

NONE = dict.fromkeys(ARMS, 0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (case(ARRIVES, **NONE | {"budget": 4, "both": 4}), SLOW),  # adding × RNN at 13
        (case(ARRIVES, **NONE | {"larger": 4}), SLOW),
        (case(GONE, seeds=8, **NONE | {"memory": 8, "budget": 7}), VANISHING),  # adding × LSTM at 170
        (case(GONE, seeds=8, **NONE | {"regularizer": 8, "smaller": 2}), VANISHING),
        (case(ARRIVES, seeds=16, **NONE | {"budget": 4, "both": 12, "luck": 1}), UNSTABLE),  # temporal order × RNN
        (case(ARRIVES, **NONE | {"smaller": 4, "budget": 4}), UNSTABLE),
        (case(BLOWN, **NONE | {"memory": 4}), UNSTABLE),
        (case(GONE, **NONE | {"budget": 4}), MIXED),  # more updates rescue where the gradient is gone
        (case(ARRIVES, **NONE | {"memory": 4}), MIXED),  # a longer memory rescues, though the gradient arrives
        (case(GONE, **NONE | {"memory": 4, "smaller": 4}), MIXED),
        (case(GONE, seeds=16, **NONE | {"memory": 16, "smaller": 6}), VANISHING),
        (case(ARRIVES, seeds=3, **NONE | {"budget": 3}), UNKNOWN),
        (case(ARRIVES, **NONE | {"luck": 2, "budget": 4}), UNKNOWN),  # luck rescues as many, as far as four tell
        (case(ARRIVES, seeds=8, **NONE | {"budget": 2, "both": 5}), UNKNOWN),
        (case(GONE, **NONE), UNKNOWN),
        (case(ARRIVES, True, solved=0, **NONE), CANNOT),
        (case(ARRIVES, True, solved=1, **NONE), UNKNOWN),
        (case(ARRIVES, False, solved=0, **NONE), UNKNOWN),
        (case(ARRIVES, True, solved=0, luck=0, memory=0), UNKNOWN),  # the cap left out what might rescue
    ],
)
def test_the_rule_is_as_stated(found: Case, expected: str) -> None:
    assert verdict(found) == expected


@pytest.mark.parametrize(
    ("luck", "had", "left", "more"),
    [
        (Share(0, 4), Share(0, 0), 4, True),
        (Share(0, 4), Share(0, 2), 2, False),  # 2 of 4 against none is not sure
        (Share(0, 4), Share(1, 2), 2, True),
        (Share(2, 4), Share(0, 0), 4, False),  # nor 4 of 4 where other sequences rescue half
        (Share(2, 8), Share(4, 4), 4, True),
    ],
)
def test_an_arm_goes_on_while_it_may_still_rescue(luck: Share, had: Share, left: int, more: bool) -> None:
    found = case(GONE, **NONE)
    asked = replace(found, arms={LUCK: luck, MEMORY: had} if had.seeds else {LUCK: luck})
    assert asked.may_rescue(MEMORY, left) == more and asked.may_rescue(LUCK, left)
    assert replace(asked, bounded=True).may_rescue(MEMORY, left)  # that nobody solves is what counts


@pytest.mark.parametrize(
    ("rescued", "shown", "expected"),
    [
        ({BUDGET}, ARRIVES, SLOW),
        ({MEMORY, BUDGET}, GONE, VANISHING),
        ({SMALLER}, ARRIVES, UNSTABLE),
        ({MEMORY}, BLOWN, UNSTABLE),
        ({BOTH}, ARRIVES, UNSTABLE),
        ({BUDGET}, GONE, MIXED),
        ({REGULARIZER, SMALLER}, GONE, MIXED),
        ({LUCK, MEMORY}, GONE, UNKNOWN),
        (set(), GONE, UNKNOWN),
        (set(), ARRIVES, UNKNOWN),
    ],
)
def test_a_seed_has_a_verdict_of_its_own(rescued: set[str], shown: Evidence, expected: str) -> None:
    assert seed_verdict({arm: arm in rescued for arm in ARMS}, shown) == expected
    bounded = seed_verdict({arm: arm in rescued for arm in ARMS}, shown, True)
    assert bounded == (CANNOT if not rescued and shown is ARRIVES else expected)


def test_a_gradient_vanishes_by_its_fall_and_not_by_noise_alone() -> None:
    assert vanishes(evidence(vanished=0.25)) and not vanishes(evidence(vanished=0.24))
    assert vanishes(evidence(first=-2.0, signal_to_noise=1.9)) and not vanishes(evidence(first=-2.0))
    assert not vanishes(evidence(first=-1.9, signal_to_noise=0.5))  # adding × RNN: noisy, but it arrives
    assert not vanishes(evidence(first=-1.9, signal_to_noise=None))
    assert not vanishes(evidence(vanished=1.0, exploded=True))


SHOWN = (ARRIVES, GONE, BLOWN, evidence(signal_to_noise=None), evidence(signal_to_noise=1.0))
DRAWN = {
    "looks": st.lists(st.sampled_from(range(len(SHOWN))), max_size=16),
    "rescued": st.dictionaries(st.sampled_from(ARMS), st.floats(0, 1)),
    "solved": st.integers(0, 3),
    "bounded": st.booleans(),
    "own": st.lists(st.sampled_from(VERDICTS), max_size=8),
}


def drawn(looks: list[int], rescued: dict[str, float], solved: int, bounded: bool, own: list[str]) -> Case:
    """A case in which each arm rescues a share of the failing seeds, each of which looks like one of `SHOWN`."""
    seeds = len(looks)
    arms = {arm: Share(round(share * seeds), seeds) for arm, share in rescued.items() if seeds}
    return Case(arms, [SHOWN[look] for look in looks], solved, bounded, own)


@examples(max_examples=300, deadline=None)
@given(**DRAWN)
def test_no_verdict_contradicts_the_figures_beside_it(
    looks: list[int], rescued: dict[str, float], solved: int, bounded: bool, own: list[str]
) -> None:
    """The figures are the bars with their luck, and the medians and counts of the failing seeds."""
    found = drawn(looks, rescued, solved, bounded, own)
    told, shown = verdict(found), summary(found.evidence)
    share = {arm: each.solved / each.seeds for arm, each in found.arms.items()}
    above = {arm for arm in share if share[arm] > share.get(LUCK, 1.0)}
    assert told in VERDICTS
    if told != UNKNOWN:
        assert shown.seeds >= FEWEST
    if told in (SLOW, VANISHING, UNSTABLE):
        assert 2 * counts(own).get(told, 0) >= len(own)  # the counts are shown, too
    if told == SLOW:
        assert above & {BUDGET, LARGER} and 2 * shown.vanishing < shown.seeds
    if told == VANISHING:
        assert above & {MEMORY, REGULARIZER} and 2 * shown.vanishing >= shown.seeds
        assert share.get(SMALLER, 0.0) <= max(share[arm] for arm in above & {MEMORY, REGULARIZER})
    if told == UNSTABLE:
        assert SMALLER in above or share.get(BOTH, 0.0) > share.get(BUDGET, 1.0) or 2 * shown.exploding >= shown.seeds
    if told == CANNOT:
        assert not any(share.values()) and not found.solved and found.bounded
        assert 2 * shown.vanishing < shown.seeds


@examples(max_examples=100, deadline=None)
@given(**DRAWN, extra=st.sampled_from(ARMS))
def test_an_arm_that_rescues_nobody_changes_no_verdict_that_names_a_cause(
    looks: list[int], rescued: dict[str, float], solved: int, bounded: bool, own: list[str], extra: str
) -> None:
    found = drawn(looks, rescued, solved, bounded, own)
    told = verdict(found)
    if extra not in (*found.arms, LUCK, BUDGET) and told not in (UNKNOWN, CANNOT):
        assert (
            verdict(Case({**found.arms, extra: Share(0, 8)}, found.evidence, found.solved, found.bounded, own)) == told
        )


def test_a_cause_that_few_seeds_have_by_their_own_is_none_of_the_pair() -> None:
    found = case(ARRIVES, **NONE | {"budget": 3, "regularizer": 1, "smaller": 1})  # temporal order × RNN at 67
    assert verdict(replace(found, own=(UNSTABLE, SLOW, MIXED, UNKNOWN))) == MIXED
    assert verdict(replace(found, own=(SLOW, SLOW, MIXED, UNKNOWN))) == SLOW


def test_counts_come_in_the_order_of_the_verdicts() -> None:
    assert counts([UNKNOWN, SLOW, VANISHING, SLOW]) == {VANISHING: 1, SLOW: 2, UNKNOWN: 1}
