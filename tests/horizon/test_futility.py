"""The rule of tests/benchmarks/futility.py that would stop hopeless replicas early, and its audit."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from tests.benchmarks.futility_rule import Audit, Futility, NoProgress, Progress

RULE = NoProgress(after=0.4, window=0.2, rise=0.05)
GOOD = Futility(RULE, known=Audit(200, 2))


def test_a_replica_without_progress_is_flagged_once_it_had_its_chance() -> None:
    updates = list(range(100, 1001, 100))
    flat = [0.1] * 10
    assert not RULE.should_stop(Progress(updates[:3], flat[:3], 1000))
    assert RULE.should_stop(Progress(updates[:4], flat[:4], 1000))


def test_a_replica_that_rises_or_rose_within_the_window_goes_on() -> None:
    updates = list(range(100, 1001, 100))
    rising = [0.05 * step for step in range(10)]
    jumped = [0.0, 0.0, 0.0, 0.2, 0.1, 0.0, 0.0]
    assert not RULE.should_stop(Progress(updates, rising, 1000))
    assert not RULE.should_stop(Progress(updates[:5], jumped[:5], 1000))
    assert RULE.should_stop(Progress(updates[:7], jumped, 1000))


@given(some.integers(0, 60), some.integers(1, 300))
def test_the_bound_is_that_of_clopper_and_pearson(false: int, more: int) -> None:
    expected = stats.beta.ppf(0.95, false + 1, more)
    assert Audit(false + more, false).upper() == pytest.approx(expected, abs=1e-9)


def test_a_rule_that_nothing_is_known_of_is_not_used() -> None:
    assert Audit().upper() == 1
    assert not Futility(RULE, known=Audit()).trusted(Audit())
    assert not Futility(RULE, known=Audit(40, 0)).trusted(Audit())
    assert Futility(RULE, known=Audit(60, 0)).trusted(Audit())


def test_it_switches_itself_off_when_the_study_speaks_against_it() -> None:
    assert GOOD.trusted(Audit())
    assert GOOD.trusted(Audit(20, 1))
    assert not GOOD.trusted(Audit(4, 2))
    assert not GOOD.trusted(Audit(200, 12))
