"""An estimated length with its credible interval, or with how it is censored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any, Literal, TypeAlias

from pipeline.base.numbers import significant
from pipeline.horizon.observation import Visited
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import verdict
from pipeline.horizon.t90 import Ninety

LONGEST = 2**31  # no length is longer
ENDS = ("median", "lower", "upper")
DECIDED = 0.8  # with .95 the intervals of simulated plateaus are four octaves wide, and hold no more often

Censored: TypeAlias = Literal["above", "below", "undefined"]


@dataclass(frozen=True)
class Estimate:
    """A length with its credible interval; None where nothing was tried, or where it is censored."""

    median: float | None
    lower: float | None
    upper: float | None
    censored: Censored | None = None  # "above" or "below" the lengths that were allowed, or "undefined"
    probability: float | None = None  # that it is undefined

    def __post_init__(self) -> None:
        """Raise ValueError where the parts contradict each other."""
        known = [end for end in (self.lower, self.median, self.upper) if end is not None]
        for end in known:
            if not 0 < end < LONGEST:
                raise ValueError(f"{end} is not a length")
        if known != sorted(known):
            raise ValueError(f"lower, median and upper do not rise: {known}")
        wanted = {"above": self.lower, "below": self.upper, "undefined": self.probability, None: 0.0}
        if wanted[self.censored] is None:
            raise ValueError(f"the limit of what is {self.censored} is missing")

    @property
    def begins(self) -> float:
        """The length from which on replicas fail: the median, or the limit above which it lies; 0 where none does."""
        return self.median or self.lower or 0.0

    @property
    def best_known(self) -> float | None:
        """The median, or the limit beyond which it lies; None where nothing is known."""
        return next((end for end in (self.median, self.lower, self.upper) if end is not None), None)

    @property
    def ends(self) -> dict[str, float]:
        """Median, lower and upper end by their names, as far as they are known."""
        return {name: end for name in ENDS if (end := getattr(self, name)) is not None}

    def within(self, shortest: int, longest: int) -> tuple[float, float]:
        """Return both ends of the interval; the limits of the range that was tried where they are not known."""
        return float(self.lower or shortest), float(self.upper or longest)

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as horizon.json states it."""
        entry: dict[str, Any] = {name: getattr(self, name) for name in (*ENDS, "censored")}
        return entry if self.probability is None else entry | {"probability": self.probability}


@dataclass(frozen=True, kw_only=True)
class AtBudget(Estimate):
    """The horizon within some budget."""

    budget: int  # updates

    def to_json(self) -> dict[str, Any]:
        """Return it as horizon.json states it."""
        return {"budget": self.budget} | super().to_json()


@dataclass(frozen=True, kw_only=True)
class Searched(Estimate):
    """The horizon that one search found."""

    study: str
    trials: int
    compute: int  # replica x updates x length

    def __post_init__(self) -> None:
        """Raise ValueError where the parts contradict each other."""
        super().__post_init__()
        if self.compute <= 0:
            raise ValueError("a search took compute above 0")

    def to_json(self) -> dict[str, Any]:
        """Return it as the files state it."""
        return {"study": self.study} | super().to_json() | {"trials": self.trials, "compute": self.compute}


@dataclass(frozen=True)
class Summary:
    """Median and interval in octaves, and how the question is settled (see `verdict`)."""

    median: float
    lower: float
    upper: float
    answer: str | None


def summary(belief: Posterior | Ninety, options: SearchOptions, reach: int | None = None) -> Summary:
    """Return median, interval and verdict of a posterior; see `verdict` for `reach`."""
    return Summary(belief.quantile(0.5), *belief.interval(options.level), verdict(belief, options, reach))


def estimate(found: Summary, options: SearchOptions, reach: int | None = None) -> Estimate:
    """Return the median and interval as lengths; beyond `reach` is "above", by default the longest that may be tried.

    Where the question is settled the numbers stand; else one outside the lengths that were allowed is None, for there
    it is the prior that speaks.
    """
    if found.answer == "above":
        return Estimate(None, float(reach or options.length_max), None, "above")
    if found.answer == "below":
        return Estimate(None, None, float(options.length_min), "below")

    def length(octaves: float) -> float | None:
        inside = options.length_min <= 2**octaves <= (reach or options.length_max)
        return significant(2**octaves) if inside or found.answer else None

    return Estimate(length(found.median), length(found.lower), length(found.upper))


def widened(known: Estimate, lengths: Sequence[Visited]) -> Estimate:
    """Return an interval that reaches, on both sides, to the next length beyond those that their own trials leave open.

    For trials that contradict the model: a length is decided by its own trials if more than half of the seeds solve it,
    or fewer, with a probability of `DECIDED`. The interval then holds whichever crossing of one half is meant.
    """
    if known.median is None or known.lower is None or known.upper is None:
        return known
    open_below = next((each.length for each in lengths if above_half(each) < DECIDED), LONGEST)
    open_above = next((each.length for each in reversed(lengths) if above_half(each) > 1 - DECIDED), 0)
    before = [float(each.length) for each in lengths if each.length < open_below]
    after = [float(each.length) for each in lengths if each.length > open_above]
    return replace(known, lower=min([known.lower, *before[-1:]]), upper=max([known.upper, *after[:1]]))


def above_half(here: Visited) -> float:
    """Return the probability that more than half of all seeds solve a length, by its own trials; the prior is uniform.

    P(p > 1/2 | k of n) = P(X <= k),  X ~ binomial(n + 1, 1/2)
    """
    return sum(comb(here.replicas + 1, count) for count in range(here.solved + 1)) / 2.0 ** (here.replicas + 1)


def estimate_ninety(belief: Ninety, options: SearchOptions, reach: int | None = None) -> Estimate:
    """Return T90, "undefined" where the lapse surely exceeds one in ten; always with the probability of that.

    Where that is not sure, median and interval are those that it has if it exists.
    """
    undefined = significant(belief.undefined)
    if undefined >= options.certainty:
        return Estimate(None, None, None, "undefined", undefined)
    known = estimate(summary(belief, options, reach), options, reach)
    return Estimate(known.median, known.lower, known.upper, known.censored, undefined)
