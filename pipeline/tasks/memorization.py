"""The noiseless memorization problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.base.errors import require
from pipeline.tasks.task import Batch, Kind, Task


@dataclass(frozen=True)
class Memorization(Task):
    """Repeat a message from the trigger on, without a mistake (Martens & Sutskever 2011, as in Pascanu et al. 2013).

    input   1 0 0 1 1 _ _ _ _ _ _ > _ _ _ _     message of n symbols, L blanks, trigger, n - 1 blanks
    answer                        1 0 0 1 1     one symbol at each of the last n steps, the first at the trigger

    An answer is wrong if any of its symbols is. Published are 5 symbols of 2 (5 bits) and 10 of 5 (> 20 bits). A
    sequence takes L + 2 n steps. Guessing is wrong 1 - alphabet^-n of the time, at cross entropy ln(alphabet). In the
    authors' code the blank is a class too, asked for at every step before the trigger; here only the message is.
    """

    source: ClassVar[str] = "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; loss on the answer steps"
    kind: ClassVar[Kind] = "recall"
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
        return 1 - float(self.alphabet) ** -self.message

    def steps(self, length: int) -> int:
        return length + 2 * self.message

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        blank, trigger = self.alphabet, self.alphabet + 1
        message = random.integers(0, self.alphabet, (self.message, batch), dtype=np.uint8)
        inputs = np.full((self.steps(length), batch), blank, dtype=np.uint8)
        inputs[: self.message] = message
        inputs[self.message + length] = trigger
        return Batch(inputs, message.astype(np.int64))
