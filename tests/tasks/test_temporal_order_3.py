"""The temporal order problem with three symbols against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.tasks.temporal_order_3 import TemporalOrder3

ORDER = TemporalOrder3(goal=0.01, loose_goal=0.1)
CLASSES = ["AAA", "AAB", "ABA", "ABB", "BAA", "BAB", "BBA", "BBB"]


@examples(max_examples=60, deadline=None)
@given(length=st.integers(10, 120), seed=st.integers(0, 2**63 - 1))
def test_the_answer_is_the_order_of_the_three_symbols_that_matter(length: int, seed: int) -> None:
    batch = ORDER.sample(streams.training(seed, 0, 1), length, 4)
    for sequence in range(4):
        decoded = "".join("AB"[int(symbol)] for symbol in batch.inputs[:, sequence] if symbol < 2)
        assert decoded == CLASSES[int(batch.targets[0, sequence])]


@pytest.mark.parametrize("length", [10, 13, 17, 20, 37, 50])
def test_the_symbols_reach_both_ends_of_their_windows_and_no_further(length: int) -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), length, 3000).inputs
    steps = np.stack([np.flatnonzero(sequence < 2) for sequence in inputs.T])
    width = int(0.1 * length + 1e-9)
    for position, start in enumerate(int(share * length + 1e-9) for share in (0.1, 0.3, 0.6)):
        assert set(steps[:, position].tolist()) == set(range(start, start + width))


def test_positions_in_a_window_are_uniform() -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), 80, 8000).inputs
    for window in (inputs[8:16], inputs[24:32], inputs[48:56]):
        assert np.abs((window < 2).sum(axis=1) - 1000).max() < 5 * np.sqrt(1000)


def test_the_four_distractors_are_equally_frequent() -> None:
    inputs = ORDER.sample(streams.training(0, 0, 1), 60, 2000).inputs
    counts = np.bincount(inputs[inputs >= 2], minlength=6)[2:]
    assert np.abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_chance_is_seven_in_eight_at_the_published_entropy() -> None:
    assert ORDER.chance == 0.875
    assert np.log(ORDER.outputs) == pytest.approx(2.0794, abs=5e-5)
