"""Adding and multiplication as Pascanu et al. 2013 draw them, against their definition."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.data.held_out import draw
from pipeline.tasks.adding_pascanu import AddingPascanu
from pipeline.tasks.multiplication import Multiplication
from pipeline.tasks.task import Task, drawn_length

ADDING, MULTIPLICATION = AddingPascanu(0.01, 0.1), Multiplication(0.01, 0.1)
BOTH: list[tuple[Task, Callable[[float, float], float]]] = [
    (ADDING, lambda one, other: (one + other) / 2),
    (MULTIPLICATION, lambda one, other: one * other),
]
ANSWERS = pytest.mark.parametrize(("task_", "answer"), BOTH, ids=["adding", "multiplication"])
TASKS = pytest.mark.parametrize("task_", [ADDING, MULTIPLICATION], ids=["adding", "multiplication"])


@ANSWERS
@examples(max_examples=40, deadline=None)
@given(length=st.integers(10, 90), seed=st.integers(0, 2**63 - 1))
def test_the_answer_comes_from_the_two_marked_values(
    task_: Task, answer: Callable[[float, float], float], length: int, seed: int
) -> None:
    batch = task_.sample(streams.training(seed, 0, 1), length, 3)
    for sequence in range(3):
        found = []
        for step in range(length):
            value, marker = (float(number) for number in batch.inputs[step, sequence])
            assert 0 <= value < 1
            assert marker in (0, 1)
            if marker:
                found.append(value)
        assert batch.targets[0, sequence, 0] == pytest.approx(answer(*found), abs=1e-6)


@TASKS
@pytest.mark.parametrize("length", [10, 19, 20, 27, 45])
def test_the_markers_reach_both_ends_of_their_windows_and_no_further(task_: Task, length: int) -> None:
    markers = task_.sample(streams.training(0, 0, 1), length, 4000).inputs[:, :, 1]
    tenth, half = length // 10, length // 2
    assert not markers[half:].any()
    for window in (markers[:tenth], markers[tenth:half]):
        assert (window.sum(axis=0) == 1).all()
        assert np.abs(window.sum(axis=1) - 4000 / len(window)).max() < 5 * np.sqrt(4000 / len(window))  # uniform


@TASKS
def test_the_values_are_uniform(task_: Task) -> None:
    values = task_.sample(streams.training(0, 0, 1), 100, 400).inputs[:, :, 0].ravel()
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)


@TASKS
@pytest.mark.parametrize("length", [10, 20, 57, 100])
def test_lengths_of_updates_are_uniform_from_the_length_to_a_tenth_more(task_: Task, length: int) -> None:
    drawn = [drawn_length(task_, streams.training_length(0, update), length) for update in range(1000)]
    counts = np.bincount(drawn, minlength=length)[length:]
    assert len(counts) == length // 10
    assert np.abs(counts - 1000 / len(counts)).max() < 5 * np.sqrt(1000 / len(counts))


@TASKS
def test_the_sequences_of_a_set_have_one_length(task_: Task) -> None:
    assert draw(task_, 1, 100, 50).inputs.shape == (len(draw(task_, 1, 100, 2).inputs), 50, 2)


def test_the_squared_error_of_a_constant_is_that_of_the_papers() -> None:
    mean = Fraction(1, 2)
    square = Fraction(1, 3)  # of a uniform number
    half_the_sum = 2 * (square - mean**2) / 4
    product = square**2 - mean**4
    assert (half_the_sum, product) == (Fraction(1, 24), Fraction(7, 144))
    for task_, variance in ((ADDING, half_the_sum), (MULTIPLICATION, product)):
        targets = task_.sample(streams.training(0, 0, 1), 20, 40_000).targets
        assert targets.var() == pytest.approx(float(variance), rel=0.05)


def test_chance_is_what_a_window_of_two_fifths_leaves_out() -> None:
    grid = (np.arange(4000) + 0.5) / 4000  # midpoint rule over both uniform values, one at a time
    for task_, combine, guess in ((ADDING, np.add, 0.5), (MULTIPLICATION, np.multiply, 0.2)):
        halved = 0.5 if task_ is ADDING else 1.0
        wrong = [(np.abs(halved * combine(grid, value) - guess) > 0.2).mean() for value in grid]
        assert np.mean(wrong) == pytest.approx(task_.chance, abs=1e-3)
