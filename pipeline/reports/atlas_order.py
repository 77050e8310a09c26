"""Cells and families of cells in their order, with probabilities, from the posteriors of their horizons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from zlib import crc32

import numpy as np
from numpy import ndarray

from pipeline.horizon.posterior import Posterior

DRAWS = 2000  # of each horizon
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True)
class Share:
    """A share with its interval."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Rank:
    """The place of a cell among others, 1 for the longest horizon."""

    place: int  # the likeliest
    probability: float  # of that place
    lower: int
    upper: int
    count: int  # cells, its own counted


def draws(belief: Posterior, name: str) -> ndarray:
    """Return horizons drawn from a belief, as many in each part of it; the same for the same name."""
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    return np.random.default_rng(crc32(name.encode())).permutation(belief.quantiles(levels))


def families(horizons: Mapping[str, ndarray], kinds: Mapping[str, str]) -> dict[tuple[str, str], Share]:
    """Return for each two families how often a cell of the first reaches farther than one of the second.

    `horizons` are draws by the cell, `kinds` the family of each. The mean over all pairs of cells is the probability;
    its interval says how far the horizons themselves are known, not how far these cells stand for others.
    """
    members: dict[str, list[ndarray]] = {}
    for name, drawn in horizons.items():
        if kinds.get(name):
            members.setdefault(kinds[name], []).append(drawn)
    return {(a, b): farther(members[a], members[b]) for a, b in permutations(sorted(members), 2)}


def farther(ours: Sequence[ndarray], theirs: Sequence[ndarray]) -> Share:
    """Return the share of pairs in which one of ours reaches farther.

    Of few pairs it takes few values, so the interval is made to hold the mean.
    """
    won = np.mean([np.asarray(one > other, dtype=float) for one in ours for other in theirs], axis=0)
    lower, upper = np.quantile(won, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(won.mean())
    return Share(mean, min(float(lower), mean), max(float(upper), mean))


def rank(own: ndarray, others: Sequence[ndarray]) -> Rank:
    """Return the place of a cell among others."""
    places = 1 + np.sum([other > own for other in others], axis=0, dtype=int) if others else np.ones(len(own), int)
    counts = np.bincount(places, minlength=len(others) + 2)
    lower, upper = np.quantile(places, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    best = int(counts.argmax())
    return Rank(best, float(counts[best] / len(own)), int(lower), int(upper), len(others) + 1)
