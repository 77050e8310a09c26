"""The copying problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.base.errors import require
from pipeline.tasks.task import Batch, Kind, Task


@dataclass(frozen=True)
class Copy(Task):
    """Repeat a message after `length` steps (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016; Bai et al. 2018).

    input   3 0 7 _ _ _ _ > _ _ _     message of symbols, length - 1 blanks, one delimiter, blanks
    answer                  3 0 7     one symbol at each of the last `message` steps

    The published setting has 10 symbols out of 8. A sequence takes length + 2 message steps. Without memory the best
    answer is a guess: cross entropy ln(alphabet) an answer, which is 10 ln 8 / (T + 20) where a paper averages over all
    steps and counts the blanks as answered.
    """

    source: ClassVar[str] = "Arjovsky, Shah, Bengio 2016 (arXiv:1511.06464), authors' code; loss on the answer steps"
    kind: ClassVar[Kind] = "classification"
    shortest: ClassVar[int] = 1

    message: int  # symbols to remember
    alphabet: int  # different symbols

    def __post_init__(self) -> None:
        require(self.message >= 1, "task.message", "must be at least 1", self.message)
        require(2 <= self.alphabet <= 254, "task.alphabet", "must be from 2 to 254", self.alphabet)
        super().__post_init__()

    @property
    def channels(self) -> int:
        return self.alphabet + 2

    @property
    def outputs(self) -> int:
        return self.alphabet

    @property
    def answers(self) -> int:
        return self.message

    @property
    def chance(self) -> float:
        return 1 - 1 / self.alphabet

    def steps(self, length: int) -> int:
        return length + 2 * self.message

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        blank, delimiter = self.alphabet, self.alphabet + 1
        message = random.integers(0, self.alphabet, (self.message, batch), dtype=np.uint8)
        inputs = np.full((self.steps(length), batch), blank, dtype=np.uint8)
        inputs[: self.message] = message
        inputs[self.message + length - 1] = delimiter
        return Batch(inputs, message.astype(np.int64))
