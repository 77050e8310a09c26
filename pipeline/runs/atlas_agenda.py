"""The order of the work of an atlas, cheapest first, and how long the rest of it takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.base.terminal import duration
from pipeline.runs.atlas_plan import Entry

TRIALS = 3.0  # compute of a search, in budgets of all replicas at the length that its learning rate reached
KNOWN = 4  # pieces of work after which their own errors say how far the forecast is off
GUESS = (0.5, 2.0)  # how far it may be off before
QUARTERS = (0.25, 0.75)
GROUP = 4  # searches a worker that are open at once: while one waits for its trial, another one has one

Forecast = tuple[float, float]  # the least and the most, in the unit of what is forecast


def choice_cost(entry: Entry) -> float:
    """Return what the choice of a learning rate costs at most [replica x updates x length]."""
    return float(entry.settings.atlas.climb * entry.settings.training.updates)


def search_cost(entry: Entry) -> float:
    """Return what a search is expected to cost, after how far the rate came; at most its cap."""
    search, rate = entry.settings.search, entry.rate
    assert rate is not None
    solved = float(2.0**rate.reached)
    return min(TRIALS * search.replicas * entry.settings.training.updates * solved, search.limit)


@dataclass(frozen=True)
class Step:
    """The next piece of work of a pair: the choice of its rate, or its search."""

    entry: Entry
    searches: bool
    cost: float  # expected

    @classmethod
    def of(cls, entry: Entry) -> "Step | None":
        """Return what is next for a pair; None where it is done."""
        if entry.rate is None:
            return cls(entry, False, choice_cost(entry))
        return None if entry.done else cls(entry, True, search_cost(entry))


def group(steps: Sequence[Step], workers: int) -> list[Step]:
    """Return what is done next, side by side: the cheapest, and those of its kind that come next.

    A search that costs less than one more choice of a rate comes before it, so horizons come from the beginning, and
    the longest come last. One process does one thing at a time; many workers get more, so that none waits for the last.
    """
    ordered = sorted(steps, key=lambda step: step.cost)
    alike = [step for step in ordered if step.searches is ordered[0].searches]
    return alike[: 1 if workers == 1 else GROUP * workers]


@dataclass
class Pace:
    """How fast the work goes, and how far the forecasts of its cost were off."""

    workers: int
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    cost: float = 0.0  # done by now
    off: list[float] = field(default_factory=list)  # real by expected cost of each search

    def __post_init__(self) -> None:
        self.began = self.clock()

    def done(self, cost: float, expected: float | None = None) -> None:
        """Note a piece of work."""
        self.cost += cost
        if expected:
            self.off.append(cost / expected)

    def left(self, steps: Sequence[Step]) -> str:
        """Return the time that is left in words, as a range; nothing before anything is done.

        A pair whose rate is not known yet counts its choice, and a search as dear as those that are known on average.
        """
        if not self.cost or not steps:
            return ""
        speed = (self.clock() - self.began) / self.cost
        searches = [step.cost for step in steps if step.searches]
        mean = sum(searches) / len(searches) if searches else choice_cost(steps[0].entry)
        choices = [step.cost for step in steps if not step.searches]
        fixed, open_ = sum(choices), sum(searches) + mean * len(choices)
        low, high = (speed * (fixed + factor * open_) for factor in self.range())
        return f"{duration(low)} to {duration(high)} left"

    def range(self) -> Forecast:
        """Return how far searches are off their forecast: the quarters of those that were seen."""
        if len(self.off) < KNOWN:
            return GUESS
        ordered = sorted(self.off)
        low, high = (ordered[round(part * (len(ordered) - 1))] for part in QUARTERS)
        return low, high
