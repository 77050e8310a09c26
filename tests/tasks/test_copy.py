"""The copying problem against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.data import streams
from pipeline.tasks.copy import Copy


@examples(max_examples=60, deadline=None)
@given(
    message=st.integers(1, 12), alphabet=st.integers(2, 254), length=st.integers(1, 60), seed=st.integers(0, 2**63 - 1)
)
def test_a_sequence_is_message_blanks_delimiter_blanks(message: int, alphabet: int, length: int, seed: int) -> None:
    task = Copy(goal=0.01, loose_goal=0.1, message=message, alphabet=alphabet)
    batch = task.sample(streams.training(seed, 0, 1), length, 3)
    for sequence in range(3):
        symbols = [int(symbol) for symbol in batch.inputs[:, sequence]]
        answer = [int(symbol) for symbol in batch.targets[:, sequence]]
        blank, delimiter = alphabet, alphabet + 1
        assert symbols == answer + (length - 1) * [blank] + [delimiter] + message * [blank]
        assert all(symbol < alphabet for symbol in answer)


def test_symbols_are_uniform_and_independent() -> None:
    targets = (
        Copy(goal=0.01, loose_goal=0.1, message=2, alphabet=8).sample(streams.training(0, 0, 1), 5, 32_000).targets
    )
    pairs = np.bincount(8 * targets[0] + targets[1], minlength=64)
    assert np.abs(pairs - 500).max() < 5 * np.sqrt(500)


@pytest.mark.parametrize(("length", "expected"), [(500, 0.0400), (1000, 0.0204)])
def test_the_published_baseline_is_a_guess_at_the_answer_steps(length: int, expected: float) -> None:
    task = Copy(goal=0.01, loose_goal=0.1, message=10, alphabet=8)
    guess = np.log(task.outputs) * task.answers / task.steps(length)
    assert guess == pytest.approx(expected, abs=5e-5)
    assert task.chance == 7 / 8


@pytest.mark.parametrize(("name", "value"), [("message", 0), ("alphabet", 1), ("alphabet", 255)])
def test_a_size_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^task.{name} must be .*; got {value}$"):
        Copy(**{"goal": 0.01, "loose_goal": 0.1, "message": 3, "alphabet": 8, name: value})  # type: ignore[arg-type]
