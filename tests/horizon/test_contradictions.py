"""A few replicas where they may contradict the answer, for a part of the compute."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.horizon.acquisition import next_question
from pipeline.horizon.contradictions import next_check
from pipeline.horizon.findings import Findings
from pipeline.horizon.observation import Observation
from pipeline.horizon.stopping import aim_of, reason_to_stop
from tests.benchmarks.search_designs import OURS
from tests.benchmarks.search_simulation import OPTIONS, simulate
from tests.benchmarks.search_truth import logistic
from tests.study.toy import options

CHOSEN = options(length_max=512, checks=0.15, replicas=8)


def trial(length: int, solved: int, replicas: int = 8, aim: str = "t50") -> Observation:
    updates = (500,) * solved + (None,) * (replicas - solved)
    cost = float(sum(length * (update or 1000) for update in updates))
    return Observation(length, solved, replicas, updates, 1000, cost, aim)


ANSWERED = [trial(*each) for each in ((4, 8), (8, 8), (16, 8), (32, 8), (64, 0), (45, 3), (41, 4), (38, 6))]


def asked(*more: Observation) -> Findings:
    return Findings.of([*ANSWERED, *more], CHOSEN)


def test_an_answer_is_checked_before_the_search_ends() -> None:
    assert reason_to_stop(asked()) is None
    length, aim, replicas = next_question(asked())
    assert (aim, replicas <= 2) == ("check", True)
    assert length > 1.5 * 2 ** asked().posterior.quantile(0.5)
    assert reason_to_stop(Findings.of(ANSWERED, replace(CHOSEN, checks=0.0))) == "interval"


def test_checks_that_agree_end_the_search() -> None:
    seen: list[Observation] = []
    while check := next_check(asked(*seen)):
        length, replicas = check
        seen.append(trial(length, 0 if length > 45 else replicas, replicas, "check"))
    assert 2 <= len(seen) <= 4
    assert reason_to_stop(asked(*seen)) == "interval"
    assert sum(each.cost for each in seen) <= 0.15 * sum(each.cost for each in ANSWERED)


def test_what_comes_out_against_the_model_is_repeated_with_all_replicas() -> None:
    length, replicas = next_check(asked()) or (0, 0)
    odd = trial(length, replicas, replicas, "check")
    assert next_check(asked(odd)) == (length, 8)
    found = asked(odd, trial(length, 8, 8, "check"))
    assert aim_of(found) == "t50"
    assert reason_to_stop(found) is None
    assert 2 ** found.posterior.quantile(0.95) > length > 2 ** asked().posterior.quantile(0.95)


def found_by(shares: Sequence[float]) -> str:
    cell = logistic(5.0, 0.1)
    return simulate(OURS, cell, replace(OPTIONS, checks=shares[0]), 3).reason


def test_a_simulated_search_with_checks_ends_with_the_same_answer() -> None:
    assert found_by([0.0]) == found_by([0.15]) == "interval"
