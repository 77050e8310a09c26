"""At which length a pair is explained, and on which seeds."""

from dataclasses import dataclass
from math import log, log2

from pipeline.horizon.estimate import Estimate
from pipeline.horizon.ladder import ladder

FIRST_SEED = 100_000
"""Seeds count from here: a search, whose seeds count from 0, has chosen its horizon by none of these."""

ABOVE = "the horizon lies beyond the longest length that was tried, so no length is known at which seeds fail"
LEAST = "the search ended with a lower end of the horizon alone, so no length is known at which most seeds fail"


@dataclass(frozen=True)
class Question:
    """The length at which a pair is explained; None with the reason where there is none."""

    length: int | None
    reason: str = ""


def question(t50: Estimate, slope: float, shortest: int, longest: int, per_octave: int, share: float) -> Question:
    """Return the length of the ladder that is nearest to that which a `share` of the seeds is expected to solve.

    The search's own curve: p(T) = sigma((log2 T50 - log2 T) / slope), so log2 T = log2 T50 + slope ln((1 - p) / p).
    It lies beyond T50 by a rung at least. Where not even the shortest length is solved by half, it is that one.
    Where only a lower end of the horizon is known, there is none.
    """
    if t50.censored == "above":
        return Question(None, ABOVE)
    if t50.median is None and t50.lower is not None:
        return Question(None, LEAST)
    if t50.median is None:
        return Question(shortest)
    wanted = log2(t50.median) + slope * log((1 - share) / share)
    rungs = [rung for rung in ladder(shortest, longest, per_octave) if rung > t50.median]
    return Question(min(rungs, key=lambda rung: abs(log2(rung) - wanted), default=longest))
