"""An estimated length with its credible interval, or with how it is censored."""

from dataclasses import dataclass
from typing import Any

from pipeline.base.numbers import significant
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import verdict
from pipeline.horizon.t90 import Ninety


@dataclass(frozen=True)
class Estimate:
    """A length with its credible interval; None where nothing was tried, or where it is censored."""

    median: float | None
    lower: float | None
    upper: float | None
    censored: str | None = None  # "above" or "below" the lengths that were allowed, or "undefined"
    probability: float | None = None  # that it is undefined

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as horizon.json states it."""
        entry: dict[str, Any] = {"median": self.median, "lower": self.lower, "upper": self.upper}
        entry["censored"] = self.censored
        return entry if self.probability is None else entry | {"probability": self.probability}


@dataclass(frozen=True)
class Summary:
    """Median and interval in octaves, and how the question is settled (see `verdict`)."""

    median: float
    lower: float
    upper: float
    answer: str | None


def summary(belief: Posterior | Ninety, options: SearchOptions) -> Summary:
    """Return median, interval and verdict of a posterior."""
    return Summary(belief.quantile(0.5), *belief.interval(options.level), verdict(belief, options))


def estimate(found: Summary, options: SearchOptions) -> Estimate:
    """Return the median and interval as lengths.

    Where the question is settled the numbers stand; else one outside the lengths that were allowed is None, for there
    it is the prior that speaks.
    """
    if found.answer == "above":
        return Estimate(None, float(options.length_max), None, "above")
    if found.answer == "below":
        return Estimate(None, None, float(options.length_min), "below")

    def length(octaves: float) -> float | None:
        inside = options.length_min <= 2**octaves <= options.length_max
        return significant(2**octaves) if inside or found.answer else None

    return Estimate(length(found.median), length(found.lower), length(found.upper))


def estimate_ninety(belief: Ninety, options: SearchOptions) -> Estimate:
    """Return T90, "undefined" where the lapse may well exceed one in ten; always with the probability of that."""
    undefined = significant(belief.undefined)
    if undefined > 1 - options.level:
        return Estimate(None, None, None, "undefined", undefined)
    known = estimate(summary(belief, options), options)
    return Estimate(known.median, known.lower, known.upper, known.censored, undefined)
