"""A search without a longest length: the cap on compute says how far it may climb."""

import pytest

from pipeline.base.errors import UserError
from pipeline.horizon.answer import horizon_from
from pipeline.horizon.findings import Findings
from pipeline.horizon.ladder import ladder, longest_rung
from pipeline.horizon.options import AskedOptions
from pipeline.horizon.stopping import reason_to_stop
from tests.benchmarks.search_designs import OURS
from tests.benchmarks.search_simulation import simulate
from tests.benchmarks.search_truth import logistic
from tests.conftest import compose
from tests.study.toy import DEFAULTS, options


def asked(**changes: object) -> AskedOptions:
    return AskedOptions(**(DEFAULTS | {"length_max": None, "compute": 1.0} | changes))


def test_the_longest_length_is_the_last_of_which_one_trial_is_within_the_cap() -> None:
    longest = asked().within(1000).length_max
    assert longest in ladder(4, 10**4)
    assert 4 * 1000 * longest <= 1e6 < 4 * 1000 * longest * 2 ** (1.5 / 8)


def test_a_longest_length_that_is_given_stays() -> None:
    assert asked(length_max=77, compute=None).within(1000).length_max == 77


def test_without_both_nothing_says_where_to_end() -> None:
    with pytest.raises(UserError, match=r"^search.compute must be a number where search.length_max is null"):
        asked(compute=None).check()


def test_the_default_search_is_open() -> None:
    search = compose("task=adding").search
    assert search.length_max == longest_rung(4, search.limit / (search.replicas * 600)) > 2048


def test_no_trial_begins_that_may_exceed_the_cap_and_above_says_what_is_next() -> None:
    chosen = asked(compute=4.0, checks=0.15).within(1000)
    found = simulate(OURS, logistic(20.0, 0.2), chosen, 1)
    said = horizon_from(found.seen, chosen)
    assert (said.reason, said.t50.censored) == ("above", "above")
    assert said.compute <= 4e6
    assert 400 < (said.tried or 0) <= (said.t50.lower or 0)
    assert said.further is not None and said.further.length == 2 * (said.t50.lower or 0)
    assert said.further.compute == 4 * 1000 * said.further.length > 4e6 - said.compute


def test_a_horizon_within_the_cap_is_found_without_a_longest_length() -> None:
    chosen = asked(compute=4.0).within(1000)
    said = horizon_from(simulate(OURS, logistic(7.0, 0.2), chosen, 1).seen, chosen)
    assert said.reason == "interval"
    assert 100 < (said.t50.median or 0) < 160


def test_a_cap_that_allows_nothing_at_the_horizon_ends_the_search() -> None:
    chosen = options(length_max=512, compute=0.3, factor=1.01)
    found = simulate(OURS, logistic(5.0, 0.2), chosen, 1)
    assert found.reason == "compute"
    assert reason_to_stop(Findings.of(found.seen, chosen)) == "compute"
