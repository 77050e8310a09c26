"""The settings of a search; their values live in conf/."""

from dataclasses import dataclass

from pipeline.base.errors import require

REPLICAS = 256  # of a trial: the table of what may come out grows with their square
PER_OCTAVE = 1024  # lengths in a doubling
BUDGETS = 64  # halvings, after which no budget is left


@dataclass
class SearchOptions:
    """What is asked, how sure the answer must be, and what it may cost."""

    length_min: int  # shortest length that may be tried; the search starts here
    length_max: int  # longest length that may be tried
    replicas: int  # random seeds trained in one trial
    factor: float  # stop when the upper end of the credible interval is at most this times the lower
    level: float  # probability held by the credible interval
    certainty: float  # probability at which the horizon is called above or below the range
    trials: int  # give up after this many trials
    compute: float | None  # give up after this many replica x updates x length; null is no limit
    leap: float  # never try more than this times the longest length that half of the replicas solved
    per_octave: int  # lengths of the ladder in a doubling
    t90: bool  # whether to go on until the length that nine in ten replicas solve is known too
    t90_trials: int  # at most this many trials for that
    budgets: int  # points of the horizon-by-budget curve, each half the budget of the next
    fresh: bool  # start a new study, keeping the old one
    tuned: bool = True  # use the settings that pipeline.tune found for the pair

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of range."""
        require(self.length_min >= 1, "search.length_min", "must be at least 1", self.length_min)
        above = self.length_max > self.length_min
        require(above, "search.length_max", f"must be above search.length_min ({self.length_min})", self.length_max)
        replicas = 1 <= self.replicas <= REPLICAS
        require(replicas, "search.replicas", f"must be from 1 to {REPLICAS}", self.replicas)
        require(self.factor > 1, "search.factor", "must be above 1", self.factor)
        require(0 < self.level < 1, "search.level", "is a probability, above 0 and below 1", self.level)
        require(0.5 < self.certainty < 1, "search.certainty", "is a probability above 0.5 and below 1", self.certainty)
        require(self.trials >= 1, "search.trials", "must be at least 1", self.trials)
        self._check_search()

    def _check_search(self) -> None:
        compute = self.compute is None or self.compute > 0
        require(compute, "search.compute", "must be above 0, or null for no limit", self.compute)
        require(self.leap > 1, "search.leap", "must be above 1", self.leap)
        lengths = 1 <= self.per_octave <= PER_OCTAVE
        require(lengths, "search.per_octave", f"must be from 1 to {PER_OCTAVE}", self.per_octave)
        require(self.t90_trials >= 0, "search.t90_trials", "must be at least 0", self.t90_trials)
        require(1 <= self.budgets <= BUDGETS, "search.budgets", f"must be from 1 to {BUDGETS}", self.budgets)
