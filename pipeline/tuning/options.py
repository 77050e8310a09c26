"""The settings of a tuning; conf/tune.yaml has the values and the reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import require

COUNTS = ("per_octave", "generations", "first", "settings", "finalists", "seeds", "rates", "rate_seeds")
SEEDS = 2**16  # different seeds of a choice
MOST = 256  # of what is counted, so that generations x settings stay below the 2^18 seeds that one choice has for them


@dataclass
class TuneOptions:
    """What is tried, and what it may cost."""

    space: Mapping[str, Any]  # of every cell
    cells: Mapping[str, Any]  # what is added for one cell
    sampler: Mapping[str, Any]  # of Optuna
    generations: int  # times that the sampler is asked
    first: int  # settings tried side by side in the first
    settings: int  # the same in each later one
    kept: float  # share that goes on to the next length
    per_octave: int  # lengths in a doubling, after the first generation
    back: float  # a generation begins at the longest solved length over this
    finalists: int  # that are tried again beside the plain settings
    seeds: int  # of each finalist
    margin: float  # octaves by which a finalist must beat the plain settings
    rates: int  # points of the curve over the learning rate
    rate_step: float  # factor between them
    rate_seeds: int  # at each of them
    searches: float  # what the choice may cost, in searches of the pair as they are foreseen
    explore: float  # share of that for the generations
    seed: int  # of the choice
    fresh: bool  # start a new study, keeping the old one

    def ordinals(self, generation: int) -> range:
        """The numbers of the settings that a generation tries, from 0 on in the order of the generations."""
        begin = self.first + (generation - 1) * self.settings if generation else 0
        return range(begin, begin + (self.settings if generation else self.first))

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of range."""
        for name in COUNTS:
            value = getattr(self, name)
            require(1 <= value <= MOST, f"tune.{name}", f"must be from 1 to {MOST}", value)
        require(self.first >= 2, "tune.first", "must be at least 2", self.first)
        for name in ("kept", "explore"):
            value = getattr(self, name)
            require(0 < value < 1, f"tune.{name}", "is a share, above 0 and below 1", value)
        require(self.rate_step > 1, "tune.rate_step", "is a factor, above 1", self.rate_step)
        require(self.back >= 1, "tune.back", "must be at least 1", self.back)
        require(self.margin >= 0, "tune.margin", "is in octaves, at least 0", self.margin)
        require(self.searches > 0, "tune.searches", "must be above 0", self.searches)
        require(0 <= self.seed < SEEDS, "tune.seed", f"must be from 0 to {SEEDS - 1}", self.seed)
