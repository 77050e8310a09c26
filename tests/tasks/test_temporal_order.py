"""The temporal order problem against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.tasks.temporal_order import TemporalOrder

ORDER = TemporalOrder(goal=0.01, loose_goal=0.1)


def decoded(symbols: list[int]) -> str:
    """The two symbols that matter, in their order."""
    return "".join("AB"[symbol] for symbol in symbols if symbol < 2)


@examples(max_examples=60, deadline=None)
@given(length=st.integers(10, 120), seed=st.integers(0, 2**63 - 1))
def test_the_answer_is_the_order_of_the_two_symbols_that_matter(length: int, seed: int) -> None:
    batch = ORDER.sample(streams.training(seed, 0, 1), length, 4)
    for sequence in range(4):
        answer = int(batch.targets[0, sequence])
        assert decoded([int(symbol) for symbol in batch.inputs[:, sequence]]) == ["AA", "AB", "BA", "BB"][answer]


@pytest.mark.parametrize("length", [10, 19, 20, 37, 50])
def test_the_symbols_reach_both_ends_of_their_windows_and_no_further(length: int) -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), length, 3000).inputs
    steps = [np.flatnonzero(sequence < 2) for sequence in inputs.T]
    assert {len(found) for found in steps} == {2}
    width = int(0.1 * length + 1e-9)
    first, half = width, int(0.5 * length)
    assert {int(found[0]) for found in steps} == set(range(first, 2 * first))
    assert {int(found[1]) for found in steps} == set(range(half, half + width))


def test_positions_in_a_window_are_uniform() -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), 80, 8000).inputs
    for window in (inputs[8:16], inputs[40:48]):
        assert np.abs((window < 2).sum(axis=1) - 1000).max() < 5 * np.sqrt(1000)


def test_the_four_distractors_are_equally_frequent() -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), 60, 2000).inputs
    counts = np.bincount(inputs[inputs >= 2], minlength=6)[2:]
    assert np.abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_the_four_classes_are_equally_frequent_so_that_a_guess_is_wrong_three_times_in_four() -> None:
    counts = np.bincount(ORDER.sample(streams.training(0, 0, 1), 30, 8000).targets[0], minlength=4)
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
    assert ORDER.chance == 0.75
