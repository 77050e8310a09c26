"""The settings of a tuning; conf/tune.yaml has the values and the reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pipeline.base.rules import SHARE, Rule, Section, above, at_least, between

SEEDS = 2**16  # different seeds of a choice
MOST = 256  # of what is counted, so that generations x settings stay below the 2^18 seeds that one choice has for them
COUNT = between(1, MOST)
FACTOR = Rule("is a factor, above 1", lambda factor: factor > 1)
OCTAVES = Rule("is in octaves, at least 0", lambda octaves: octaves >= 0)


@dataclass(frozen=True)
class TuneOptions(Section):
    """What is tried, and what it may cost."""

    section: ClassVar[str] = "tune"

    space: Mapping[str, Any]  # of every cell
    cells: Mapping[str, Any]  # what is added for one cell
    sampler: Mapping[str, Any]  # of Optuna
    generations: Annotated[int, COUNT]  # times that the sampler is asked
    first: Annotated[int, COUNT, at_least(2)]  # settings tried side by side in the first
    settings: Annotated[int, COUNT]  # the same in each later one
    kept: Annotated[float, SHARE]  # share that goes on to the next length
    per_octave: Annotated[int, COUNT]  # lengths in a doubling, after the first generation
    back: Annotated[float, at_least(1)]  # a generation begins at the longest solved length over this
    finalists: Annotated[int, COUNT]  # that are tried again beside the plain settings
    seeds: Annotated[int, COUNT]  # of each finalist
    margin: Annotated[float, OCTAVES]  # octaves by which a finalist must beat the plain settings
    rates: Annotated[int, COUNT]  # points of the curve over the learning rate
    rate_step: Annotated[float, FACTOR]  # factor between them
    rate_seeds: Annotated[int, COUNT]  # at each of them
    searches: Annotated[float, above(0)]  # what the choice may cost, in searches of the pair as they are foreseen
    explore: Annotated[float, SHARE]  # share of that for the generations
    seed: Annotated[int, between(0, SEEDS - 1)]  # of the choice
    fresh: bool  # start a new study, keeping the old one

    def ordinals(self, generation: int) -> range:
        """The numbers of the settings that a generation tries, from 0 on in the order of the generations."""
        begin = self.first + (generation - 1) * self.settings if generation else 0
        return range(begin, begin + (self.settings if generation else self.first))
