"""Settings climb the lengths side by side: at each length they race, and who solves first goes on to the next.

A race ends for everyone once the share `kept` has solved, so a slow setting costs no whole budget, and most of the
compute goes to lengths near the horizon. Nothing of this enters a horizon: it decides only which settings are used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, log2
from typing import Any

WAY = 0.5  # share of a step that the way to a length which was not solved counts, at most
OCTAVE = 1.0  # the step beyond the longest length that was tried


@dataclass(frozen=True)
class Entrant:
    """Settings with the seed that they are tried on."""

    values: Mapping[str, Any]
    seed: int  # the number of the replica


@dataclass(frozen=True)
class Finish:
    """How one replica ended at one length."""

    length: int
    solved: bool
    updates: int  # that it ran
    progress: float  # from 0 at chance to 1 at the goal, in logarithms of the score
    cost: int  # updates x length


Train = Callable[[Sequence[Entrant], int, int | None], list[Finish]]  # (who, length, end when so many have solved)


@dataclass
class Climb:
    """What one entrant did at each length that it came to."""

    entrant: Entrant
    finishes: list[Finish] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Updates x length that were run."""
        return sum(finish.cost for finish in self.finishes)

    @property
    def solved(self) -> int:
        """The longest length that was solved, 0 if there is none."""
        return max((finish.length for finish in self.finishes if finish.solved), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"values": dict(self.entrant.values), "seed": self.entrant.seed} | {
            "finishes": [asdict(finish) for finish in self.finishes]
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Climb":
        """Return what `as_dict` returned."""
        finishes = [Finish(**finish) for finish in content["finishes"]]
        return cls(Entrant(content["values"], content["seed"]), finishes)


def climb(
    entrants: Sequence[Entrant], lengths: Sequence[int], train: Train, kept: float, budget: int, allowance: float
) -> list[Climb]:
    """Let entrants climb rising lengths until none is left, or the next length might cost more than is left.

    `allowance` is in replica x updates x length; `budget` in updates. The fastest go on where not all can.
    """
    climbs, front = [Climb(entrant) for entrant in entrants], list(range(len(entrants)))
    for length in lengths:
        front = front[: int(allowance // (length * budget))]
        if not front:
            break
        finishes = train([entrants[place] for place in front], length, ceil(kept * len(front)))
        for place, finish in zip(front, finishes, strict=True):
            climbs[place].finishes.append(finish)
            allowance -= finish.cost
        solvers = [(finish.updates, place) for place, finish in zip(front, finishes, strict=True) if finish.solved]
        front = [place for _, place in sorted(solvers)]
    return climbs


def reach(climbed: Climb, budget: int) -> float:
    """Return how far settings came, in octaves; what the sampler maximizes.

    The longest length solved, and for the way to the next length up to half a step: the progress there, or the share of
    the budget that was left over where there was no next one. Who failed at the first length is on the way from length
    1, whichever that first length was: generations that begin at different lengths are seen by one sampler.
    """
    last, octaves = climbed.finishes[-1], [log2(finish.length) for finish in climbed.finishes]
    if last.solved:
        return octaves[-1] + WAY * OCTAVE * (1 - last.updates / budget)
    below = octaves[-2] if len(octaves) > 1 else 0.0
    return below + WAY * (octaves[-1] - below) * last.progress
