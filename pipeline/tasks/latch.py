"""The latch problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.base.errors import require
from pipeline.tasks.task import Batch, Task

INFORMED = 3  # first steps, which tell the class
TARGET = 0.8  # or its negative


@dataclass(frozen=True)
class Latch(Task):
    """Hold one bit against noise (Bengio, Simard, Frasconi 1994).

    step      0   1   2 |  3    4    5  …  T-1
    input    -1  -1  -1 | .13 -.25  .04 …  .31     the class three times, then Gaussian noise of mean 0
    answer                                 -.8     after the last step: .8 or -.8; wrong if the sign is

    Both classes are equally frequent: guessing is wrong half of the time. Published are T = 20 and 18 runs a point. The
    1994 net learned its first three inputs as well; here they are given, as in the two-sequence problem.

    Random weight guessing solves this and the two-sequence problem, in 6 to 144 tries on average by variant (Hochreiter
    & Schmidhuber): that a cell solves it is no evidence of learning. What counts is how the share of runs that converge
    falls with T.
    """

    source: ClassVar[str] = "Bengio, Simard, Frasconi 1994 (doi:10.1109/72.279181), section II; given inputs"
    kind: ClassVar[str] = "sign"
    shortest: ClassVar[int] = INFORMED
    channels: ClassVar[int] = 1
    outputs: ClassVar[int] = 1
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 0.5

    noise: float  # standard deviation

    def __post_init__(self) -> None:
        require(0 <= self.noise < np.inf, "task.noise", "is a standard deviation, at least 0", self.noise)
        super().__post_init__()

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        signs = 2 * random.integers(0, 2, batch).astype(np.float32) - 1
        inputs = np.float32(self.noise) * random.standard_normal((length, batch, 1), dtype=np.float32)
        inputs[:INFORMED] = signs[:, None]
        return Batch(inputs, (np.float32(TARGET) * signs)[None, :, None])
