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
