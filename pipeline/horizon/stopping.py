"""When a search ends, and why."""

from collections.abc import Sequence
from math import log2

from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.t90 import Ninety, ninety

CONVERGED = ("interval", "above", "below")  # the reasons that are answers


def verdict(belief: Posterior | Ninety, options: SearchOptions) -> str | None:
    """Return how the question is settled: "interval", "above", "below"; None while it is open."""
    if belief.above >= options.certainty:
        return "above"
    if belief.below >= options.certainty:
        return "below"
    return "interval" if belief.octaves(options.level) <= log2(options.factor) else None


def reason_to_stop(seen: Sequence[Observation], found: Posterior, options: SearchOptions) -> str | None:
    """Return why nothing more is to be tried: "interval", "above", "below", "trials", "compute"; None to go on."""
    answer = verdict(found, options)
    if answer and not wants_ninety(seen, found, options):
        return answer
    capped = reason_of_caps(seen, options)
    return (answer or capped) if capped else None


def reason_of_caps(seen: Sequence[Observation], options: SearchOptions) -> str | None:
    """Return the cap that is reached, "trials" or "compute"."""
    if len(seen) >= options.trials:
        return "trials"
    spent = sum(trial.cost for trial in seen)
    return "compute" if options.compute is not None and spent >= options.compute else None


def wants_ninety(seen: Sequence[Observation], found: Posterior, options: SearchOptions) -> bool:
    """Return whether the next trial is for T90: wanted, T50 settled, T90 open, and trials left for it."""
    if not options.t90 or verdict(found, options) in (None, "below"):
        return False
    spent = sum(trial.aim == "t90" for trial in seen)
    return spent < options.t90_trials and not ninety_settled(ninety(seen, found.grid), options)


def ninety_settled(belief: Ninety, options: SearchOptions) -> bool:
    """Return whether T90 is known: surely undefined, or surely defined and located."""
    if belief.undefined >= options.certainty:
        return True
    return belief.undefined <= 1 - options.level and verdict(belief, options) is not None
