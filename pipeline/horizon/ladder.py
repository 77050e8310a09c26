"""The ladder: the geometric series of lengths that a search may ask for."""

from math import log2


def ladder(shortest: int, longest: int, per_octave: int = 8) -> list[int]:
    """Return the distinct lengths round(shortest 2^(i / per_octave)) up to `longest`, both ends included, rising.

    >>> ladder(4, 16, per_octave=2)
    [4, 6, 8, 11, 16]
    """
    rungs = int(per_octave * log2(longest / shortest)) + 1
    lengths = {round(shortest * 2 ** (rung / per_octave)) for rung in range(rungs)}
    return sorted({length for length in lengths if length < longest} | {longest})


def longest_rung(shortest: int, limit: float, per_octave: int = 8) -> int:
    """Return the longest length of the endless ladder from `shortest` that is at most `limit`, which is not below it.

    >>> longest_rung(4, 12.5, per_octave=2)
    11
    """
    rung = int(per_octave * log2(limit / shortest)) + 1  # rounding may lift one over the limit
    return max(length for each in range(rung + 1) if (length := round(shortest * 2 ** (each / per_octave))) <= limit)
