"""The memorization problem against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.data import streams
from pipeline.tasks.memorization import Memorization


@examples(max_examples=60, deadline=None)
@given(
    message=st.integers(1, 12), alphabet=st.integers(2, 254), length=st.integers(1, 60), seed=st.integers(0, 2**63 - 1)
)
def test_a_sequence_is_message_blanks_trigger_blanks(message: int, alphabet: int, length: int, seed: int) -> None:
    task = Memorization(goal=0.01, loose_goal=0.1, message=message, alphabet=alphabet)
    batch = task.sample(streams.training(seed, 0, 1), length, 3)
    for sequence in range(3):
        symbols = [int(symbol) for symbol in batch.inputs[:, sequence]]
        answer = [int(symbol) for symbol in batch.targets[:, sequence]]
        blank, trigger = alphabet, alphabet + 1
        assert symbols == answer + length * [blank] + [trigger] + (message - 1) * [blank]
        assert all(symbol < alphabet for symbol in answer)


def test_the_first_answer_is_due_at_the_trigger() -> None:
    task = Memorization(goal=0.01, loose_goal=0.1, message=4, alphabet=3)
    batch = task.sample(streams.training(0, 0, 1), 9, 2)
    assert (batch.inputs[-task.answers] == 4).all()


def test_all_messages_are_equally_frequent() -> None:
    task = Memorization(goal=0.01, loose_goal=0.1, message=5, alphabet=2)
    targets = task.sample(streams.training(0, 0, 1), 5, 32_000).targets
    counts = np.bincount(2 ** np.arange(5) @ targets, minlength=32)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert task.chance == 31 / 32


def test_the_larger_published_setting_has_more_than_twenty_bits() -> None:
    task = Memorization(goal=0.01, loose_goal=0.1, message=10, alphabet=5)
    assert np.log2(1 / (1 - task.chance)) == pytest.approx(10 * np.log2(5))
    assert (task.channels, task.steps(50)) == (7, 70)


@pytest.mark.parametrize(("name", "value"), [("message", 0), ("alphabet", 1), ("alphabet", 255)])
def test_a_size_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^task.{name} must be .*; got {value}$"):
        Memorization(**{"goal": 0.01, "loose_goal": 0.1, "message": 3, "alphabet": 8, name: value})  # type: ignore[arg-type]
