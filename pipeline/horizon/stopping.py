"""The end of a search, and its reason."""

from math import log2

from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.t90 import Ninety

CONVERGED = ("interval", "above", "below")  # the reasons that are answers


def verdict(belief: Posterior | Ninety, options: SearchOptions) -> str | None:
    """Return how the question is settled: "interval", "above", "below"; None while it is open."""
    if belief.above >= options.certainty:
        return "above"
    if belief.below >= options.certainty:
        return "below"
    return "interval" if belief.octaves(options.level) <= log2(options.factor) else None


def reason_to_stop(found: Findings) -> str | None:
    """Return why nothing more is to be tried: "interval", "above", "below", "trials", "compute"; None to continue."""
    answer = verdict(found.posterior, found.options)
    if answer and not wants_ninety(found):
        return answer
    capped = reason_of_caps(found)
    return (answer or capped) if capped else None


def reason_of_caps(found: Findings) -> str | None:
    """Return the cap that is reached, "trials" or "compute"."""
    options = found.options
    if len(found.seen) >= options.trials:
        return "trials"
    return "compute" if options.compute is not None and found.cost >= options.compute else None


def wants_ninety(found: Findings) -> bool:
    """Return True if the next trial is for T90: wanted, T50 settled, T90 open, and trials left for it."""
    options = found.options
    if not options.t90 or verdict(found.posterior, options) in (None, "below"):
        return False
    tried = sum(trial.aim == "t90" for trial in found.seen)
    return tried < options.t90_trials and not ninety_settled(found.ninety, options)


def ninety_settled(belief: Ninety, options: SearchOptions) -> bool:
    """Return True if T90 is known: surely undefined, or surely defined and located."""
    if belief.undefined >= options.certainty:
        return True
    return belief.undefined <= 1 - options.level and verdict(belief, options) is not None
