"""Answers in words: an interval, a reason, an order of cells."""

from collections.abc import Mapping
from typing import Any

from pipeline.horizon.estimate import Estimate
from pipeline.horizon.options import MILLION
from pipeline.records.explanation import ExplanationRecord
from pipeline.records.horizon import HorizonRecord

REASONS = {
    "interval": "the interval is as narrow as was asked",
    "above": "the horizon lies beyond the longest length that could be tried",
    "below": "the horizon lies below the shortest length",
    "trials": "the cap on trials was reached",
    "compute": "the cap on compute was reached",
}
DOUBTFUL = 0.05  # probability that T90 is undefined, from which on it is told
VAGUE = 8  # upper / lower limit beyond which a median says more about the prior than about the trials


def phrase(estimate: Estimate) -> str:
    """Return an estimate in words: `58 (46 to 71)`, `above 512`, `below 8`, or one limit where no more is known."""
    median, lower, upper = estimate.median, estimate.lower, estimate.upper
    if estimate.censored == "undefined":
        return f"undefined (P = {estimate.probability:.2f})"
    if estimate.censored:
        return f"{estimate.censored} {lower or upper:.0f}"
    if lower and (upper is None or upper > VAGUE * lower):
        return f"at least {short(lower)}"
    if upper and lower is None:
        return f"at most {short(upper)}"
    return f"{short(median)} ({short(lower)} to {short(upper)})"


def ninety_phrase(horizon: HorizonRecord) -> str:
    """Return T90 in words: an interval that is not settled says so, and how likely it is that there is no T90."""
    ninety = horizon.t90
    if ninety.censored or horizon.t90_settled is not False:
        return phrase(ninety)
    doubt = ninety.probability or 0.0
    return f"{phrase(ninety)}, not settled" + (f" (undefined: P = {doubt:.2f})" if doubt > DOUBTFUL else "")


def growth_phrase(horizon: HorizonRecord) -> str:
    """Return what twice the updates gave: `1.7 (1.4 to 2.2) octaves`; a dash where the whole budget tells nothing."""
    last = horizon.elasticity[-1] if horizon.elasticity else None
    if last is None or last.budget != horizon.budget:
        return "–"
    return f"{last.median:.2g} ({last.lower:.2g} to {last.upper:.2g}) octaves"


def law_phrase(horizon: HorizonRecord) -> str:
    """Return the law of learning time: `updates ~ T^0.53 (0.48 to 0.57)`; a dash where there is none."""
    law = horizon.learning_time
    return f"updates ~ T^{law.exponent:.2g} ({law.lower:.2g} to {law.upper:.2g})" if law else "–"


def foreseen_phrase(horizon: HorizonRecord) -> str:
    """Return what larger budgets may give: `203 (129 to 511) at 1200 updates, ...`; a dash for nothing."""
    return ", ".join(f"{phrase(each)} at {each.budget} updates" for each in horizon.foreseen) or "–"


def further_phrase(horizon: HorizonRecord, minutes: str = "") -> str:
    """Return what the next length would take: `8192 would take up to 39 million steps, 4.0 searches like this`."""
    more = horizon.further
    if more is None or not horizon.compute:
        return ""
    times = more.compute / horizon.compute
    steps = f"{more.compute / MILLION:.3g} million steps"
    return f"{more.length} would take up to {steps}, {times:.2g} times this search{minutes}"


def short(value: float | None) -> str:
    """Return a length with two digits at least and no false precision; a question mark where it is not known."""
    if value is None:
        return "?"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def probability(chance: float) -> str:
    """Return a probability with two digits, never rounded to certainty."""
    if chance >= 0.995:
        return "above 0.99"
    return "below 0.01" if chance < 0.005 else f"{chance:.2f}"


def plain_phrase(horizon: HorizonRecord) -> str:
    """Return the horizon with the plain settings beside a tuned one; a dash where there are no tuned settings."""
    return phrase(horizon.tuned.plain) if horizon.tuned else "–"


def cost_phrase(horizon: HorizonRecord) -> str:
    """Return what the tuning cost, in searches with the tuned settings: `1.85`; a dash where nothing was tuned."""
    return f"{horizon.tuned.cost / horizon.compute:.3g}" if horizon.tuned else "–"


def verdict_phrase(found: ExplanationRecord | None) -> str:
    """Why seeds fail, with how many seeds say so: `slow (7 of 8 seeds)`; a dash where that is not known.

    Of a mixed verdict, and of one that no seed has, all counts: `mixed (4 vanishing, 3 unstable)`.
    """
    if found is None or found.verdict is None:
        return "–"
    own, every = found.counts.get(found.verdict, 0), sum(found.counts.values())
    if own and found.verdict != "mixed":
        return f"{found.verdict} ({own} of {every} seeds)"
    return (
        f"{found.verdict} ({', '.join(f'{count} {name}' for name, count in found.counts.items())})"
        if every
        else found.verdict
    )


def words(settings: Mapping[str, Any]) -> str:
    """Return settings in words: `training.clip 0.03, cell.forget_bias 6`."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())
