"""The horizon for smaller budgets, read from the update at which each replica solved the same trials."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from pipeline.horizon.belief import belief
from pipeline.horizon.estimate import AtBudget, Summary, estimate, summary
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions


def horizon_by_budget(
    seen: Sequence[Observation],
    budgets: Sequence[int],
    options: SearchOptions,
    reach: int | None = None,
    doubted: bool = False,
) -> tuple[AtBudget, ...]:
    """Return the horizon at each of the rising budgets, never falling.

    A longer budget solves whatever a shorter one does. The search asked about the largest budget and knows it best, so
    a quantile above that of a larger budget is lowered to it. For `reach` see `verdict`, for `doubted` `belief`.
    """
    grid = Grid.of(options)
    found = [summary(belief(at_budget(seen, budget), grid, doubted=doubted), options, reach) for budget in budgets]
    lowered = list(accumulate(reversed(found), not_above))
    answers = zip(budgets, reversed(lowered), strict=True)
    return tuple(AtBudget(**vars(estimate(each, options, reach)), budget=budget) for budget, each in answers)


def not_above(larger: Summary, smaller: Summary) -> Summary:
    """Return the summary of the smaller budget, lowered where it exceeds that of the larger one."""
    falls = larger.answer == "below" or (smaller.answer == "above" and larger.answer != "above")
    return Summary(
        min(larger.median, smaller.median),
        min(larger.lower, smaller.lower),
        min(larger.upper, smaller.upper),
        larger.answer if falls else smaller.answer,
    )


def at_budget(seen: Sequence[Observation], budget: int) -> list[Observation]:
    """Return the trials as they would have ended with this budget: solved later is not solved."""
    return [replace(trial, solved=solved_by(trial, budget), budget=budget) for trial in seen]


def solved_by(trial: Observation, budget: int) -> int:
    """Return how many replicas of a trial were solved by this update."""
    return sum(update is not None and update <= budget for update in trial.updates)


def halvings(budget: int, points: int) -> list[int]:
    """Return rising budgets that end with this one, each half the next.

    >>> halvings(2000, 4)
    [250, 500, 1000, 2000]
    """
    return sorted({budget // 2**point for point in range(points)} - {0})
