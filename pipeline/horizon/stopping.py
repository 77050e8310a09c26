"""The end of a search, and its reason; and what a trial is for while it goes on."""

from math import log2

from pipeline.horizon.contradictions import next_check
from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.t90 import Ninety

CONVERGED = ("interval", "above", "below")  # the reasons that are answers


def verdict(belief: Posterior | Ninety, options: SearchOptions, reach: int | None = None) -> str | None:
    """Return how the question is settled: "interval", "above", "below"; None while it is open.

    "above" is beyond `reach`, by default the longest length that may be tried.
    """
    if belief.above(float(reach or options.length_max)) >= options.certainty:
        return "above"
    if belief.below >= options.certainty:
        return "below"
    return "interval" if belief.octaves(options.level) <= log2(options.factor) else None


def reason_to_stop(found: Findings) -> str | None:
    """Return why nothing more is to be tried: "interval", "above", "below", "trials", "compute"; None to continue."""
    answer = verdict(found.posterior, found.options, found.reach)
    if answer and aim_of(found) == "t50":
        return answer
    capped = reason_of_caps(found)
    return (answer or capped) if capped else None


def reason_of_caps(found: Findings) -> str | None:
    """Return the cap that is reached, "trials" or "compute"."""
    if len(found.seen) >= found.options.trials:
        return "trials"
    return "compute" if found.stuck else None


def aim_of(found: Findings) -> str:
    """Return what the next trial is for: "t50", "t90" or "check"; "t50" also where nothing is left to be tried."""
    if wants_ninety(found):
        return "t90"
    settled = verdict(found.posterior, found.options, found.reach) in ("interval", "below")
    return "check" if settled and next_check(found) else "t50"


def wants_ninety(found: Findings) -> bool:
    """Return True if the next trial is for T90: wanted, T50 settled, T90 open, and trials left for it."""
    options = found.options
    if not options.t90 or verdict(found.posterior, options, found.reach) in (None, "below"):
        return False
    tried = sum(trial.aim == "t90" for trial in found.seen)
    return tried < options.t90_trials and not ninety_settled(found.ninety, options, found.reach)


def ninety_settled(belief: Ninety, options: SearchOptions, reach: int | None = None) -> bool:
    """Return True if T90 is known: surely undefined, or surely defined and located."""
    if belief.undefined >= options.certainty:
        return True
    return belief.undefined <= 1 - options.level and verdict(belief, options, reach) is not None
