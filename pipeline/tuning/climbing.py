"""Settings climb the lengths side by side: at each length they race, and who solves first continues at the next.

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
    """Settings with the seed on which they are tried."""

    values: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class RaceOutcome:
    """The outcome of one entrant at one length."""

    length: int
    solved: bool
    updates: int  # that it ran
    progress: float  # from 0 at chance to 1 at the goal, in logarithms of the score
    cost: int  # updates x length


Train = Callable[[Sequence[Entrant], int, int | None], list[RaceOutcome]]
"""(entrants, length, end when so many have solved) -> what became of each."""


@dataclass
class Climb:
    """The outcomes of one entrant at each length that it came to."""

    entrant: Entrant
    outcomes: list[RaceOutcome] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Updates x length that were run."""
        return sum(outcome.cost for outcome in self.outcomes)

    @property
    def solved_length(self) -> int:
        """The longest length that was solved, 0 if there is none."""
        return max((outcome.length for outcome in self.outcomes if outcome.solved), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"values": dict(self.entrant.values), "seed": self.entrant.seed} | {
            "outcomes": [asdict(outcome) for outcome in self.outcomes]
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Climb":
        """Return what `as_dict` returned."""
        outcomes = [RaceOutcome(**outcome) for outcome in content["outcomes"]]
        return cls(Entrant(content["values"], content["seed"]), outcomes)


def climb(
    entrants: Sequence[Entrant], lengths: Sequence[int], train: Train, kept: float, budget: int, allowance: float
) -> list[Climb]:
    """Let entrants climb rising lengths until none is left, or the next length might cost more than is left.

    `allowance` is in replica x updates x length; `budget` in updates. The fastest continue where not all can.
    """
    climbs, front = [Climb(entrant) for entrant in entrants], list(range(len(entrants)))
    for length in lengths:
        front = front[: int(allowance // (length * budget))]
        if not front:
            break
        outcomes = train([entrants[place] for place in front], length, ceil(kept * len(front)))
        for place, outcome in zip(front, outcomes, strict=True):
            climbs[place].outcomes.append(outcome)
            allowance -= outcome.cost
        solvers = [(outcome.updates, place) for place, outcome in zip(front, outcomes, strict=True) if outcome.solved]
        front = [place for _, place in sorted(solvers)]
    return climbs


def octaves_climbed(climbed: Climb, budget: int) -> float:
    """Return how far settings came, in octaves; what the sampler maximizes.

    The longest length solved, and for the way to the next length up to half a step: the progress there, or the share of
    the budget that was left over where there was no next one. Who failed at the first length is on the way from length
    1, whichever that first length was: generations that begin at different lengths are seen by one sampler.
    """
    last, octaves = climbed.outcomes[-1], [log2(outcome.length) for outcome in climbed.outcomes]
    if last.solved:
        return octaves[-1] + WAY * OCTAVE * (1 - last.updates / budget)
    below = octaves[-2] if len(octaves) > 1 else 0.0
    return below + WAY * (octaves[-1] - below) * last.progress
