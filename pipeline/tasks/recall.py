"""A message that is repeated after a while: the sequences of copying and of noiseless memorization."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.base.errors import require
from pipeline.tasks.task import Batch, Task


@dataclass(frozen=True)
class Recall(Task):
    """Repeat a message of symbols once a cue has been seen.

    input   3 0 7 _ _ _ _ > _ _ _     message, blanks, cue, blanks
    answer                  3 0 7     one symbol at each of the last `message` steps

    Symbols are 0 … alphabet - 1, the blank is `alphabet`, the cue the number after it. A sequence takes
    length + 2 message steps.
    """

    symbols: ClassVar[bool] = True
    shortest: ClassVar[int] = 1

    message: int  # symbols to remember
    alphabet: int  # different symbols

    def __post_init__(self) -> None:
        require(self.message >= 1, "task.message", "must be at least 1", self.message)
        require(2 <= self.alphabet <= 254, "task.alphabet", "must be from 2 to 254", self.alphabet)
        super().__post_init__()

    @abstractmethod
    def blanks(self, length: int) -> int:
        """Return how many blanks lie between the message and the cue."""

    @property
    def channels(self) -> int:
        return self.alphabet + 2

    @property
    def outputs(self) -> int:
        return self.alphabet

    @property
    def answers(self) -> int:
        return self.message

    def steps(self, length: int) -> int:
        return length + 2 * self.message

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        blank, cue = self.alphabet, self.alphabet + 1
        message = random.integers(0, self.alphabet, (self.message, batch), dtype=np.uint8)
        inputs = np.full((self.steps(length), batch), blank, dtype=np.uint8)
        inputs[: self.message] = message
        inputs[self.message + self.blanks(length)] = cue
        return Batch(inputs, message.astype(np.int64))
