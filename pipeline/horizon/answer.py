"""The answer of a search: the horizon with its interval or its censoring, as horizon.json states it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.base.numbers import significant
from pipeline.horizon.belief import belief
from pipeline.horizon.by_budget import halvings, horizon_by_budget
from pipeline.horizon.diagnostics import diagnostics
from pipeline.horizon.elasticity import Elasticity, growth
from pipeline.horizon.estimate import AtBudget, Estimate, estimate, estimate_ninety, summary, widened
from pipeline.horizon.findings import Findings
from pipeline.horizon.learning_time import LearningTime, learning_time
from pipeline.horizon.observation import Observation, visited
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import CONVERGED, ninety_settled, reason_to_stop


@dataclass(frozen=True)
class Further:
    """The next length that a search would have tried, and what that takes if nobody solves it."""

    length: int
    compute: int  # replica x updates x length


@dataclass(frozen=True)
class Horizon:
    """All that a search found out, in the order of horizon.json."""

    budget: int  # updates that each replica was allowed
    replicas: int  # of a trial
    level: float  # probability held by the intervals
    converged: bool
    reason: str | None  # "interval", "above", "below", "trials", "compute"; None if it was cut short
    trials: int
    compute: int  # replica x updates x length that was run
    t50: Estimate
    t90: Estimate
    by_budget: tuple[AtBudget, ...]
    p_above: float  # probability that T50 lies above the longest length that was, or still could be, tried
    p_below: float
    slope: float  # octaves
    p_overdispersed: float  # probability that replicas of a trial agree more than chance
    diagnostics: tuple[str, ...]  # sentences, where the data contradict the model
    t90_settled: bool | None = None  # whether T90 is surely located or surely undefined; None: not asked for
    tried: int | None = None  # the longest length that was tried
    elasticity: tuple[Elasticity, ...] = ()  # octaves that the horizon gains for an octave of budget, rising budgets
    foreseen: tuple[AtBudget, ...] = ()  # horizons beyond the budget, which nobody measured
    learning_time: LearningTime | None = None  # updates to solve against length
    further: Further | None = None  # the next length, where the horizon lies above those that were tried


def horizon_from(seen: Sequence[Observation], options: SearchOptions) -> Horizon:
    """Return what these trials say, a pure function: from the study or from trials.csv it is the same."""
    found = Findings.of(seen, options)
    reason, budget, reach = reason_to_stop(found), found.budget, found.reach
    warnings, believed = told(found)
    located = estimate(summary(believed, options, reach), options, reach)
    at = horizon_by_budget(seen, halvings(budget, options.budgets), options, reach, bool(warnings))
    elasticities, foreseen = growth(seen, at, options)
    return Horizon(
        budget=budget,
        replicas=options.replicas,
        level=options.level,
        converged=reason in CONVERGED,
        reason=reason,
        trials=len(seen),
        compute=round(found.cost),
        t50=widened(located, visited(seen)) if warnings else located,
        t90=estimate_ninety(found.ninety, options, reach),
        by_budget=at,
        p_above=significant(believed.above(float(reach))),
        p_below=significant(believed.below),
        slope=significant(believed.slope),
        p_overdispersed=significant(believed.overdispersed),
        diagnostics=warnings,
        t90_settled=ninety_settled(found.ninety, options, reach) if options.t90 else None,
        tried=found.tried if seen else None,
        further=further(found) if reason == "above" else None,
        elasticity=elasticities,
        foreseen=foreseen,
        learning_time=learning_time(seen, options.level),
    )


def told(found: Findings) -> tuple[tuple[str, ...], Posterior]:
    """Return warnings, and what is said of T50: where trials spoke against the model, with all others at even odds."""
    warnings = diagnostics(found.seen, found.posterior)
    doubted = belief(found.seen, found.posterior.grid, doubted=True) if warnings else found.posterior
    return warnings, doubted


def further(found: Findings) -> Further | None:
    """Return the next length, `leap` times the longest that may be tried; None where no trial has a cost."""
    length = round(found.options.leap * found.reach)
    return Further(length, found.options.replicas * found.budget * length) if found.budget else None
