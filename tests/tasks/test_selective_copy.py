"""Selective copying against its definition."""

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams
from pipeline.tasks.selective_copy import SelectiveCopy


@examples(max_examples=60, deadline=None)
@given(
    message=st.integers(1, 12), alphabet=st.integers(2, 254), length=st.integers(1, 60), seed=st.integers(0, 2**63 - 1)
)
def test_the_answer_is_what_is_not_blank_in_its_order(message: int, alphabet: int, length: int, seed: int) -> None:
    task = SelectiveCopy(goal=0.01, loose_goal=0.1, message=message, alphabet=alphabet)
    batch = task.sample(streams.training(seed, 0, 1), length, 3)
    blank, cue = alphabet, alphabet + 1
    for sequence in range(3):
        symbols = [int(symbol) for symbol in batch.inputs[:, sequence]]
        before, after = symbols[: message + length - 1], symbols[message + length - 1 :]
        assert [symbol for symbol in before if symbol != blank] == batch.targets[:, sequence].tolist()
        assert after == [cue] + message * [blank]


def test_every_set_of_places_is_equally_likely() -> None:
    task = SelectiveCopy(goal=0.01, loose_goal=0.1, message=2, alphabet=8)
    inputs = task.sample(streams.training(0, 0, 1), 4, 20_000).inputs[:5]
    places = (inputs != 8).T @ 2 ** np.arange(5)
    counts = np.bincount(places)[np.unique(places)]
    assert len(counts) == 10 and np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
