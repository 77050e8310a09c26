"""The last round: the best settings and the plain ones on the same fresh seeds; and the curve of the learning rate."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import log2
from typing import Any

from pipeline.base.numbers import significant
from pipeline.tuning.climbing import Entrant, RaceOutcome, Train

PER_OCTAVE = 2  # lengths of the last round in a doubling


@dataclass
class Standing:
    """The record of some settings in the last round; both lists have one value a length."""

    values: Mapping[str, Any]
    plain: bool
    lengths: list[int] = field(default_factory=list)
    solved: list[int] = field(default_factory=list)  # seeds
    seeds: int = 1
    cost: int = 0  # replica x updates x length
    known: float | None = None  # its horizon in octaves, where a search has found it to lie below the first length

    def add(self, length: int, outcomes: Sequence[RaceOutcome]) -> None:
        """Take what became of its seeds at the next length."""
        self.lengths.append(length)
        self.solved.append(sum(outcome.solved for outcome in outcomes))
        self.cost += sum(outcome.cost for outcome in outcomes)

    @property
    def continues(self) -> bool:
        """True if half of the seeds solved the last length."""
        return 2 * self.solved[-1] >= self.seeds

    @property
    def octaves(self) -> float:
        """The horizon by Spearman and Kaerber: half a step below the first length, and a step for each share solved.

        log2 T50 = log2 T_1 - d / 2 + d sum_i p_i,  p_i the share that solved T_i = T_1 2^(i d), 0 where none tried
        """
        if self.known is not None:
            return self.known
        step = 1 / PER_OCTAVE
        return log2(self.lengths[0]) - step / 2 + step * sum(self.solved) / self.seeds

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"values": dict(self.values)}


def compete(
    settings: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    lengths: Sequence[int],
    train: Train,
    budget: int,
    allowance: float,
    plain: float | None = None,
) -> list[Standing]:
    """Try settings, of which the first are the plain ones, at rising lengths; who solves half of the seeds continues.

    If `plain` is given, their horizon in octaves, the plain ones are not tried but stand where their search saw them.
    The round ends when no more than one continues, or the next length will likely cost more than is left.
    """
    standings = [Standing(values, index == 0, seeds=len(seeds)) for index, values in enumerate(settings)]
    if plain is not None:
        standings[0].known = plain
    front = [standing for standing in standings if standing.known is None]
    before, lately = (
        lengths[0],
        0,
    )  # the last length, and what it cost those who continue; the first is tried in any case
    for length in lengths if front else []:
        likely = lately * (length / before) ** 2  # both the steps and the updates grow with the length
        if lately and allowance < min(likely, length * budget * len(front) * len(seeds)):
            break
        who = [Entrant(standing.values, seed) for standing in front for seed in seeds]
        outcomes = train(who, length, None)
        before, lately = length, 0
        for index, standing in enumerate(front):
            mine = outcomes[index * len(seeds) : (index + 1) * len(seeds)]
            standing.add(length, mine)
            lately += sum(outcome.cost for outcome in mine) if standing.continues else 0
        allowance -= sum(outcome.cost for outcome in outcomes)
        front = [standing for standing in front if standing.continues]
        if len(front) <= 1:
            break
    return standings


def ranked(standings: Sequence[Standing], margin: float) -> list[Standing]:
    """Return the standings, the chosen one first: the farthest, or the plain one unless it was beaten by `margin`.

    Among equals the cheaper is before the dearer: it solves sooner.
    """
    order = sorted(standings, key=lambda standing: (-standing.octaves, standing.cost))
    plain = next(standing for standing in order if standing.plain)
    if order[0].octaves - plain.octaves >= margin:
        return order
    return [plain, *(standing for standing in order if standing is not plain)]


def rate_curve(
    values: Mapping[str, Any], seeds: Sequence[int], count: int, step: float, length: int, train: Train
) -> dict[str, Any]:
    """Return how many seeds solve one length at learning rates around the chosen one, all else as chosen."""
    middle = (count - 1) / 2
    rates = [significant(float(values["optimizer.lr"] * step ** (place - middle))) for place in range(count)]
    who = [Entrant({**values, "optimizer.lr": rate}, seed) for rate in rates for seed in seeds]
    outcomes = train(who, length, None)
    parts = [outcomes[place * len(seeds) : (place + 1) * len(seeds)] for place in range(count)]
    solved = [sum(outcome.solved for outcome in part) for part in parts]
    cost = sum(outcome.cost for outcome in outcomes)
    return {"length": length, "seeds": len(seeds), "rates": rates, "solved": solved, "cost": cost}
