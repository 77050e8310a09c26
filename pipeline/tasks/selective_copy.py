"""The selective copying problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.tasks.recall import Recall
from pipeline.tasks.task import Batch


@dataclass(frozen=True)
class SelectiveCopy(Recall):
    """Repeat the symbols that stood among blanks, in their order (Jing et al. 2019; Gu & Dao 2023).

    input   _ 3 _ _ 0 7 _ > _ _ _     symbols anywhere among length - 1 blanks, one cue, blanks
    answer                  3 0 7     one symbol at each of the last `message` steps

    As copying, but how long ago a symbol stood says nothing of where it belongs: what to keep is told by the input
    alone, and the count of symbols so far by the state. Published are 16 symbols of 14 among 4096 steps.
    """

    source: ClassVar[str] = "Gu, Dao 2023 (arXiv:2312.00752), section 4.1.1, after Jing et al. 2019; one cue"
    kind: ClassVar[str] = "classification"

    @property
    def chance(self) -> float:
        return 1 - 1 / self.alphabet

    def blanks(self, length: int) -> int:
        return length - 1

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        blank, cue, before = self.alphabet, self.alphabet + 1, self.message + self.blanks(length)
        message = random.integers(0, self.alphabet, (self.message, batch), dtype=np.uint8)
        places = np.sort(random.random((before, batch)).argsort(axis=0)[: self.message], axis=0)
        inputs = np.full((self.steps(length), batch), blank, dtype=np.uint8)
        inputs[places, np.arange(batch)] = message
        inputs[before] = cue
        return Batch(inputs, message.astype(np.int64))
