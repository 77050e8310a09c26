"""The parity problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.tasks.task import Batch, Task


@dataclass(frozen=True)
class Parity(Task):
    """Say whether the number of ones is odd (Bengio, Simard, Frasconi 1994).

    input    1 -1 -1  1  1 -1     bits, 1 or -1, uniform
    answer                  1     after the last step: 1 for odd, here three ones; 0 for even

    Every bit counts, so nothing can be learned from some of them: the answer does not depend on any T - 1. Guessing is
    wrong half of the time, at cross entropy ln 2.

    Random weight guessing solves the problems of 1994, this one even beyond 500 steps (Hochreiter & Schmidhuber): that
    a cell solves it is no evidence of learning. What counts is how the share of runs that converge falls with T.
    """

    source: ClassVar[str] = "Bengio, Simard, Frasconi 1994 (doi:10.1109/72.279181); bits without noise"
    kind: ClassVar[str] = "classification"
    shortest: ClassVar[int] = 1
    channels: ClassVar[int] = 1
    outputs: ClassVar[int] = 2
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 0.5

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        bits = random.integers(0, 2, (length, batch))
        return Batch((2 * bits - 1).astype(np.float32)[:, :, None], bits.sum(axis=0, keepdims=True) % 2)
