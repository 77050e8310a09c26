"""Stopping hopeless replicas early, under audit."""

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from pipeline.horizon.futility import Audit, Futility, NoProgress, Progress, Rule, at_most, audit, flag, stopped
from pipeline.study.driver import Inline, search
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import TrialResult
from tests.study.toy import Toy, options

RULE = NoProgress(after=0.4, window=0.2, rise=0.05)
GOOD = Futility(RULE, known=Audit(200, 2))


def test_a_replica_without_progress_is_flagged_once_it_had_its_chance() -> None:
    updates = list(range(100, 1001, 100))
    flat = [0.1] * 10
    assert isinstance(RULE, Rule)
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
    audited = false + more
    expected = stats.beta.ppf(0.95, false + 1, audited - false)
    assert Audit(audited, false).upper() == pytest.approx(expected, abs=1e-9)
    assert at_most(false, audited, 0.05) == pytest.approx(stats.binom.cdf(false, audited, 0.05), abs=1e-9)


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


def test_one_in_ten_flagged_replicas_runs_on_and_always_the_same() -> None:
    chosen = [replica for replica in range(5000) if GOOD.runs_on(replica)]
    assert 400 < len(chosen) < 600
    assert chosen == [replica for replica in range(5000) if GOOD.runs_on(replica)]


def test_the_audit_is_read_from_what_trials_record() -> None:
    extras: list[dict[str, Any]] = [
        {"futility": [None, flag(400, True, False), flag(500, False, False)]},
        {"futility": [flag(400, True, True)]},
        {},
    ]
    assert audit(extras) == Audit(audited=2, false=1)
    assert stopped(extras) == 1


def test_the_attempt_gets_the_rule_until_it_is_switched_off() -> None:
    chosen = options(factor=1.05, trials=12)
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler.of(chosen))
    rules: list[Futility | None] = []

    def attempt(length: int, ordinal: int, futility: Futility | None) -> TrialResult:
        rules.append(futility)
        result = Toy()(length, ordinal)
        wrong = flag(400, runs_on=True, solved=True)
        return TrialResult(**(vars(result) | {"extra": {"futility": [wrong, None, None, None]}}))

    search(study, attempt, chosen, Inline(), futility=GOOD)
    assert rules == [GOOD, None] + [None] * 10 or rules == [GOOD, GOOD] + [None] * 10
