"""The random permutation problem against its definition."""

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.tasks.random_permutation import RandomPermutation

PERMUTATION = RandomPermutation(goal=0.01, loose_goal=0.1)


@examples(max_examples=60, deadline=None)
@given(length=st.integers(1, 120), seed=st.integers(0, 2**63 - 1))
def test_the_answer_is_the_first_symbol_and_no_later_one_tells_it(length: int, seed: int) -> None:
    batch = PERMUTATION.sample(streams.training(seed, 0, 1), length, 4)
    for sequence in range(4):
        first, *later = (int(symbol) for symbol in batch.inputs[:, sequence])
        assert len(later) == length - 1
        assert first in (0, 1)
        assert all(2 <= symbol <= 99 for symbol in later)
        assert batch.targets[0, sequence] == first


def test_the_symbols_between_are_uniform() -> None:
    inputs = PERMUTATION.sample(streams.training(0, 0, 1), 99, 3000).inputs
    counts = np.bincount(inputs[1:].ravel(), minlength=100)
    assert (counts[:2] == 0).all()
    assert np.abs(counts[2:] - 3000).max() < 5 * np.sqrt(3000)


def test_a_guess_leaves_one_bit() -> None:
    targets = PERMUTATION.sample(streams.training(0, 0, 1), 5, 20_000).targets
    shares = np.bincount(targets[0]) / targets.size
    entropy = -(shares * np.log(shares)).sum()
    assert abs(entropy - np.log(2)) < 1e-3
    assert PERMUTATION.chance == 0.5
    assert PERMUTATION.outputs == PERMUTATION.channels == 100
