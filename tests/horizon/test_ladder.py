"""The ladder of lengths."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some

from pipeline.horizon.ladder import ladder


@given(shortest=some.integers(1, 100), octaves=some.floats(0.5, 8), per_octave=some.integers(1, 12))
def test_it_rises_from_end_to_end_in_geometric_steps(shortest: int, octaves: float, per_octave: int) -> None:
    longest = int(shortest * 2**octaves) + 1
    rungs = ladder(shortest, longest, per_octave)
    assert rungs == sorted(set(rungs))
    assert (rungs[0], rungs[-1]) == (shortest, longest)
    step = 2 ** (1 / per_octave)
    assert all(above <= below * step + 0.5 + step / 2 for below, above in pairwise(rungs))


def test_eight_an_octave_double_after_eight() -> None:
    rungs = ladder(64, 256)
    assert len(rungs) == 17
    assert [rungs[0], rungs[8], rungs[16]] == [64, 128, 256]
