"""The adding problem against its definition."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.tasks.adding import Adding

ADDING = Adding(goal=0.01, loose_goal=0.05)


@examples(max_examples=50, deadline=None)
@given(length=st.integers(2, 80), seed=st.integers(0, 2**63 - 1))
def test_the_answer_is_the_sum_of_the_two_marked_values(length: int, seed: int) -> None:
    batch = ADDING.sample(streams.training(seed, 0, 1), length, 3)
    for sequence in range(3):
        total, halves = 0.0, []
        for step in range(length):
            value, marker = batch.inputs[step, sequence]
            assert 0 <= value < 1
            assert marker in (0, 1)
            if marker:
                total += float(value)
                halves.append(step >= length // 2)
        assert halves == [False, True]
        assert batch.targets[0, sequence, 0] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("length", [2, 3, 8, 9])
def test_the_markers_reach_both_ends_of_their_halves_and_no_further(length: int) -> None:
    markers = ADDING.sample(streams.training(0, 0, 1), length, 4000).inputs[:, :, 1]
    first, second = markers[: length // 2], markers[length // 2 :]
    for half in (first, second):
        seen = half.sum(axis=1)
        assert (half.sum(axis=0) == 1).all()
        assert np.abs(seen - 4000 / len(half)).max() < 5 * np.sqrt(4000 / len(half))  # uniform


def test_the_values_are_uniform() -> None:
    values = ADDING.sample(streams.training(0, 0, 1), 100, 400).inputs[:, :, 0].ravel().astype(float)
    for power in range(1, 5):  # moments of U[0, 1]: 1 / (k + 1)
        deviation = np.sqrt(1 / (2 * power + 1) - 1 / (power + 1) ** 2)
        assert (values**power).mean() == pytest.approx(1 / (power + 1), abs=5 * deviation / np.sqrt(len(values)))


def test_chance_is_the_variance_of_a_sum_of_two_uniform_numbers() -> None:
    variance = Fraction(1, 3) - Fraction(1, 2) ** 2
    assert ADDING.chance == pytest.approx(float(2 * variance), abs=1e-15)
