"""Two marked values in the first half of a sequence: the inputs of Pascanu et al. 2013's adding and multiplication."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from numpy.random import Generator

from pipeline.tasks.task import Batch, Task

Values = Float32[ndarray, " batch"]


@dataclass(frozen=True)
class MarkedValues(Task):
    """A number that follows from two marked values, one in [0, floor(l/10)), one in [floor(l/10), floor(l/2)).

    All sequences of a batch have one length l ~ U{L … L + floor(L/10) - 1}, so L is at least 10. In the authors' code
    the second window ends at floor(.1 l) + floor(.4 l), for some l one step earlier.
    """

    kind: ClassVar[str] = "tolerance"
    shortest: ClassVar[int] = 10
    stretch: ClassVar[float] = 0.1
    channels: ClassVar[int] = 2  # value, marker
    outputs: ClassVar[int] = 1
    answers: ClassVar[int] = 1

    @abstractmethod
    def answer(self, first: Values, second: Values) -> Values:
        """Return the answer for the values that are marked."""

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        inputs = np.zeros((length, batch, self.channels), dtype=np.float32)
        inputs[:, :, 0] = random.random((length, batch), dtype=np.float32)
        every = np.arange(batch)
        first = random.integers(0, length // 10, batch)
        second = random.integers(length // 10, length // 2, batch)
        inputs[first, every, 1] = 1
        inputs[second, every, 1] = 1
        return Batch(inputs, self.answer(inputs[first, every, 0], inputs[second, every, 0])[None, :, None])
