"""The settings of a search; conf/config.yaml has the values and the reasons."""

from dataclasses import dataclass, field, fields
from math import inf
from typing import Annotated, ClassVar

from pipeline.base.errors import require
from pipeline.base.rules import Rule, Section, above, at_least, between
from pipeline.horizon.ladder import longest_rung

REPLICAS = 256  # of a trial: the table of what may come out grows with their square
PER_OCTAVE = 1024  # lengths in a doubling
BUDGETS = 64  # halvings, after which no budget is left
LEVEL = Rule("is a probability, above 0 and below 1", lambda level: 0 < level < 1)
LONGEST = 2.0**14  # where a search ends that has no longest length, however small its budget
MILLION = 1_000_000  # steps, the unit of `compute`
PART = Rule("is a share, from 0 to below 1", lambda part: 0 <= part < 1)
CERTAINTY = Rule("is a probability above 0.5 and below 1", lambda certainty: 0.5 < certainty < 1)


@dataclass(frozen=True)
class SearchOptions(Section):
    """What is asked, how sure the answer must be, and what it may cost."""

    section: ClassVar[str] = "search"

    length_min: Annotated[int, at_least(1)]  # shortest length that may be tried; the search starts here
    length_max: int  # longest length that may be tried
    replicas: Annotated[int, between(1, REPLICAS)]  # random seeds trained in one trial
    factor: Annotated[float, above(1)]  # stop when the upper end of the interval is at most this times the lower
    level: Annotated[float, LEVEL]  # probability held by the credible interval
    certainty: Annotated[float, CERTAINTY]  # probability at which the horizon is called above or below the range
    trials: Annotated[int, at_least(1)]  # give up after this many trials
    compute: Annotated[float | None, above(0, ", or null for no limit")]  # million steps: no trial may exceed it
    leap: Annotated[float, above(1)]  # cap on the next length, in longest lengths that half of the replicas solved
    per_octave: Annotated[int, between(1, PER_OCTAVE)]  # lengths of the ladder in a doubling
    t90: bool  # whether to go on until the length that nine in ten replicas solve is known too
    t90_trials: Annotated[int, at_least(0)]  # at most this many trials for that
    budgets: Annotated[int, between(1, BUDGETS)]  # points of the horizon-by-budget curve, each half of the next
    checks: Annotated[float, PART] = field(default=0.0, kw_only=True)  # part of the compute for contradictions
    tuned: bool = field(default=True, kw_only=True)  # use the settings that pipeline.tune found for the pair
    fresh: bool  # start a new study, keeping the old one

    @property
    def limit(self) -> float:
        """The most compute that the search may take, in steps: replica x updates x length."""
        return inf if self.compute is None else self.compute * MILLION

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of its range."""
        super().check()
        longer = self.length_max > self.length_min
        require(longer, "search.length_max", f"must be above search.length_min ({self.length_min})", self.length_max)


@dataclass(frozen=True)
class AskedOptions(SearchOptions):
    """The same as a user writes them: without a longest length, the cap on compute says which it is."""

    length_max: int | None  # type: ignore[assignment]  # null: as far as the cap on compute allows

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of its range."""
        rule = "must be a number where search.length_max is null, for it says how far a search may climb"
        require(self.length_max is not None or self.compute is not None, "search.compute", rule, None)
        if self.length_max is not None:
            super().check()
        else:
            self.within(1).check()

    def within(self, budget: int) -> SearchOptions:
        """Return the options of a search whose replicas may take `budget` updates each.

        The longest length is then the longest of the ladder of which the cap allows one trial, if nobody solves it. It
        is at least twice the shortest, so that there is something to search, and at most `LONGEST`.
        """
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.length_max is None:
            affordable = self.limit / (self.replicas * budget)
            limit = max(min(affordable, LONGEST), 2.0 * self.length_min)
            given["length_max"] = longest_rung(self.length_min, limit, self.per_octave)
        return SearchOptions(**given)
