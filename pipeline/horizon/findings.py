"""The finished trials of a search with what they say, each posterior computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation, spent
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior, posterior
from pipeline.horizon.t90 import Ninety, ninety


@dataclass(frozen=True, eq=False)
class Findings:
    """Finished trials with what they say about T50 and, once that is asked for, about T90."""

    seen: Sequence[Observation]
    options: SearchOptions
    posterior: Posterior

    @classmethod
    def of(cls, seen: Sequence[Observation], options: SearchOptions) -> "Findings":
        """Return what these trials say."""
        return cls(seen, options, posterior(seen, Grid.of(options)))

    @cached_property
    def ninety(self) -> Ninety:
        """The posterior of T90."""
        return ninety(self.seen, self.posterior.grid)

    @property
    def cost(self) -> float:
        """The compute of all trials, in replica x updates x length."""
        return spent(self.seen)

    @property
    def updates_run(self) -> int:
        """Updates of all replicas of all trials."""
        return round(sum(trial.cost / trial.length for trial in self.seen))
