"""The adding problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.tasks.task import Batch, Task


@dataclass(frozen=True)
class Adding(Task):
    """Add the two marked values (Hochreiter & Schmidhuber 1997, in the variant of Arjovsky et al. 2016).

    value   .31 .84 .05 .77 | .12 .66 .90 .43      ~ U[0, 1]
    marker    0   1   0   0 |   0   0   1   0      one in each half, uniform
    answer                                  1.74   after the last step: .84 + .90

    The sum has mean 1 and variance 2/12, so always answering 1 scores 1/6. The first marker lies T/2 to T steps before
    the end. Other papers use other marker windows or halve the sum: horizons do not carry over between variants.
    """

    source: ClassVar[str] = (
        "Arjovsky, Shah, Bengio 2016 (arXiv:1511.06464), authors' code; values U[0, 1], a marker a half"
    )
    kind: ClassVar[str] = "regression"
    shortest: ClassVar[int] = 2
    channels: ClassVar[int] = 2
    outputs: ClassVar[int] = 1
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 1 / 6

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        inputs = np.zeros((length, batch, 2), dtype=np.float32)
        inputs[:, :, 0] = random.random((length, batch), dtype=np.float32)
        first = random.integers(0, length // 2, batch)
        second = random.integers(length // 2, length, batch)
        every = np.arange(batch)
        inputs[first, every, 1] = 1
        inputs[second, every, 1] = 1
        return Batch(inputs, (inputs[first, every, 0] + inputs[second, every, 0])[None, :, None])
