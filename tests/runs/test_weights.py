"""A trained model says what it reads, whatever it is given."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.learning.model import Model, begin
from pipeline.runs.weights import Trained
from tests.conftest import compose

NUMBERS = "the model reads [batch, time, 2] of numbers"
SYMBOLS = "the model reads [batch, time] of symbols, whole numbers below 10"


def model(task: str) -> Trained:
    """A model of two replicas with fresh weights."""
    settings = compose(f"task={task}", "cell=rnn", "cell.hidden=3")
    rows, layout = begin(settings.cell, settings.task.channels, settings.task.outputs, 0, [0, 1])
    about = {name: getattr(settings.task, name) for name in ("symbols", "channels", "answers")}
    return Trained(Model(settings.cell, layout, rows, "auto", 1, settings.task.channels), about, 2)


@pytest.mark.parametrize(
    ("task", "inputs", "sentence"),
    [
        ("adding", torch.zeros(1, 96, 3), f"{NUMBERS}; got float32 [1, 96, 3]"),
        ("adding", torch.zeros(96), f"{NUMBERS}; got float32 [96]"),
        ("adding", torch.zeros(0, 9, 2), f"{NUMBERS}; got float32 [0, 9, 2]"),
        ("adding", torch.zeros(1, 9, 2, dtype=torch.complex64), f"{NUMBERS}; got complex64 [1, 9, 2]"),
        ("adding", [[1.0], [1.0, 2.0]], f"{NUMBERS}; got [[1.0], [1.0, 2.0]] (expected sequence of length 1 at"),
        ("adding", None, f"{NUMBERS}; got None ("),
        ("adding", "a word", f"{NUMBERS}; got 'a word' ("),
        ("copy", torch.zeros(4, 8), f"{SYMBOLS}; got float32 [4, 8]"),
        ("copy", np.zeros(8, dtype=int), f"{SYMBOLS}; got int64 [8]"),
        ("copy", [[0, 1, 10, 3]], f"{SYMBOLS}; got int64 [1, 4] with symbols from 0 to 10"),
        ("copy", [[0, -1, 2, 3]], f"{SYMBOLS}; got int64 [1, 4] with symbols from -1 to 3"),
        ("copy", [[0]], f"{SYMBOLS}, and at least 2 steps, which it answers; got int64 [1, 1]"),
    ],
)
def test_inputs_that_can_not_be_read_are_a_sentence(task: str, inputs: object, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}"):
        model(task)(inputs)


@pytest.mark.parametrize(("task", "shape"), [("adding", (4, 9, 2)), ("copy", (4, 9))])
def test_arrays_and_lists_are_read_as_tensors_are(task: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 2, shape)
    given: list[Any] = [torch.from_numpy(values), values, values.tolist()]
    given += [values.astype(float)] if task == "adding" else [values.astype(np.uint8)]
    answers = [model(task)(each) for each in given]
    assert all(torch.equal(each, answers[0]) for each in answers)
    assert answers[0].shape[0] == 4


@pytest.mark.parametrize("replica", [2, -1, 1.5, True, "0"])
def test_a_replica_that_is_not_there_is_a_sentence(replica: Any) -> None:
    with pytest.raises(
        UserError, match=f"^replica must be a whole number from 0 to 1; got {re.escape(repr(replica))}$"
    ):
        Trained.__call__.__wrapped__(model("adding"), torch.zeros(1, 9, 2), replica)  # not checked by jaxtyping
