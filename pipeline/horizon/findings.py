"""The finished trials of a search with what they say, each belief computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from pipeline.horizon.belief import belief
from pipeline.horizon.ladder import longest_rung
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation, spent, visited
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.t90 import Ninety, ninety

FIRST = 4.0  # while no length is solved by half, lengths up to so many times the shortest may be tried


@dataclass(frozen=True, eq=False)
class Findings:
    """Finished trials with what they say about T50 and, once that is asked for, about T90."""

    seen: Sequence[Observation]
    options: SearchOptions
    posterior: Posterior

    @classmethod
    def of(cls, seen: Sequence[Observation], options: SearchOptions) -> "Findings":
        """Return what these trials say."""
        return cls(seen, options, belief(seen, Grid.of(options)))

    @cached_property
    def ninety(self) -> Ninety:
        """The posterior of T90."""
        return ninety(self.seen, self.posterior.grid)

    @cached_property
    def cost(self) -> float:
        """The compute of all trials, in replica x updates x length."""
        return spent(self.seen)

    @property
    def updates_run(self) -> int:
        """Updates of all replicas of all trials."""
        return round(sum(trial.cost / trial.length for trial in self.seen))

    @property
    def budget(self) -> int:
        """Updates that a replica may take, 0 where no trial says."""
        return max((trial.budget for trial in self.seen), default=0)

    @property
    def tried(self) -> int:
        """The longest length that was tried, the shortest that may be before there is one."""
        return max((trial.length for trial in self.seen), default=self.options.length_min)

    @cached_property
    def affordable(self) -> float:
        """The longest length of which one more trial stays within the cap on compute, even if nobody solves it."""
        if not self.budget or self.options.limit == inf:
            return inf
        return max(0.0, self.options.limit - self.cost) / (self.options.replicas * self.budget)

    @cached_property
    def reach(self) -> int:
        """The longest length that was tried or may be: a horizon beyond it is "above"."""
        options = self.options
        if self.affordable >= options.length_max:
            return options.length_max
        rung = longest_rung(options.length_min, max(self.affordable, float(options.length_min)), options.per_octave)
        return max(rung, self.tried)

    @cached_property
    def ceiling(self) -> float:
        """The longest length that may be tried next: `leap` times the longest that at least half solved."""
        solved = [here.length for here in visited(self.seen) if 2 * here.solved >= here.replicas]
        shortest = float(self.options.length_min)
        if not solved:
            return FIRST * shortest if self.seen else shortest
        return self.options.leap * max(solved)

    @property
    def stuck(self) -> bool:
        """Whether the cap on compute allows neither a trial at the horizon nor one beyond all that were tried."""
        wanted = min(2 ** self.posterior.quantile(0.5), self.ceiling, float(self.options.length_max))
        shortest = self.affordable < self.options.length_min
        return shortest or (max(wanted, self.options.length_min) > self.affordable and self.reach <= self.tried)
