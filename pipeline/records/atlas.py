"""What the atlas keeps of one pair beside its search: rate.json and pair.json."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.records.reading import Record, read_json

RATE, PAIR = "rate.json", "pair.json"
MAKER = "`python -m pipeline.atlas`"


@dataclass(frozen=True)
class RateRecord:
    """Which learning rate was chosen for a pair, and how far each one came."""

    made_by: str  # digest of what decides the choice
    chosen: float
    rates: tuple[float, ...]  # that were tried, rising
    seeds: int  # of each
    octaves: tuple[float, ...]  # log2 of the length that each reached, the mean of its seeds
    longest: int  # length that was solved with any of them; 0: none
    cost: int  # replica x updates x length

    def __post_init__(self) -> None:
        """Raise ValueError where the parts contradict each other."""
        if len(self.rates) != len(self.octaves) or self.chosen not in self.rates:
            raise ValueError("each rate reached some length, and one of them was chosen")

    @property
    def reached(self) -> float:
        """log2 of the length that the chosen rate reached."""
        return self.octaves[self.rates.index(self.chosen)]

    @property
    def at_end(self) -> bool:
        """Whether the chosen rate is the least or the greatest that was tried, and others might do better."""
        return len(self.rates) > 1 and self.chosen in (self.rates[0], self.rates[-1])


@dataclass(frozen=True)
class PairRecord:
    """Which search stands beside it."""

    study: str  # its name says of which settings and code
    command: str  # that asks pipeline.search the same


def read_if_there(path: Path, kind: type[Record]) -> Record | None:
    """Return the content of one of these files; None where it is not there or is something else."""
    try:
        return read_json(path, kind, MAKER)
    except UserError:
        return None
