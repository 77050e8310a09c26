"""The horizon for smaller budgets, from the same trials."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.horizon.belief import belief
from pipeline.horizon.by_budget import at_budget, halvings, horizon_by_budget
from pipeline.horizon.estimate import AtBudget, Summary, estimate, summary
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from tests.study.toy import options

CHOSEN = options(length_max=64)
Drawn = list[tuple[int, list[int | None]]]  # length, update at which each replica solved
TRIALS = some.lists(
    some.tuples(some.integers(4, 64), some.lists(some.none() | some.integers(1, 1000), min_size=4, max_size=4)),
    max_size=15,
)


def observed(drawn: Drawn) -> list[Observation]:
    """Return the trials in which replicas solved at these updates."""
    return [
        Observation(length, sum(update is not None for update in updates), 4, tuple(updates), 1000)
        for length, updates in drawn
    ]


def test_replicas_that_solved_later_count_as_failed() -> None:
    (trial,) = at_budget([Observation(8, 3, 4, (100, 500, 501, None), 1000)], 500)
    assert (trial.solved, trial.replicas, trial.budget) == (2, 4, 500)


@settings(deadline=None, max_examples=40)
@given(TRIALS)
def test_the_horizon_never_falls_as_the_budget_grows(drawn: Drawn) -> None:
    found = horizon_by_budget(observed(drawn), [125, 250, 500, 1000], CHOSEN)
    for name in ("median", "lower", "upper"):
        known = [getattr(each, name) for each in found if getattr(each, name) is not None]
        assert known == sorted(known)
    ranks = {"below": 0, None: 1, "above": 2}
    assert [ranks[each.censored] for each in found] == sorted(ranks[each.censored] for each in found)


@settings(deadline=None, max_examples=20)
@given(TRIALS)
def test_at_the_full_budget_it_is_the_horizon(drawn: Drawn) -> None:
    trials = observed(drawn)
    found = horizon_by_budget(trials, halvings(1000, 3), CHOSEN)[-1]
    alone = estimate(summary(belief(trials, Grid(4, 64)), CHOSEN), CHOSEN)
    assert found == AtBudget(**vars(alone), budget=1000)


def test_a_smaller_budget_solves_shorter_lengths() -> None:
    pace = {4: 100, 8: 200, 16: 400, 32: 800}  # updates in proportion to the length
    trials = [Observation(length, 4, 4, (update,) * 4, 1000) for length, update in pace.items()] * 4
    trials += [Observation(64, 0, 4, (None,) * 4, 1000)] * 4
    medians = [found.median for found in horizon_by_budget(trials, [250, 500, 1000], CHOSEN)]
    assert all(median is not None for median in medians)
    assert 8 < medians[0] < 16 < medians[1] < 32 < medians[2] < 64  # type: ignore[operator]


def test_numbers_outside_the_lengths_are_left_out_where_the_question_is_open() -> None:
    open_ended = Summary(median=5.0, lower=1.0, upper=8.0, answer=None)
    found = estimate(open_ended, CHOSEN)
    assert (found.median, found.lower, found.upper) == (32.0, None, None)
    settled = estimate(replace(open_ended, upper=6.1, answer="interval"), CHOSEN)
    assert settled.upper == 68.5935
