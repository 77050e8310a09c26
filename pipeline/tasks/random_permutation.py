"""The random permutation problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from pipeline.tasks.task import Batch, Task

SYMBOLS = 100
INFORMATIVE = 2  # symbols that a sequence may begin and end with


@dataclass(frozen=True)
class RandomPermutation(Task):
    """Predict the last symbol, which is the first one again (Hochreiter & Schmidhuber 1997, as in Pascanu et al. 2013).

    input    1 57 12 88  2 57 …  40        L symbols; the first is 0 or 1, the others uniform in 2 … 99
    answer                        1        the symbol L + 1, after the last step: as the first

    The readout has 100 classes. That only 0 and 1 come last is soon learned, and then the cross entropy stays at ln 2
    and half of the guesses are wrong until the first symbol is remembered: over all L steps, the longest lag there is.
    Despite the name a symbol may come several times.
    """

    source: ClassVar[str] = "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; loss on the last symbol"
    kind: ClassVar[str] = "classification"
    symbols: ClassVar[bool] = True
    shortest: ClassVar[int] = 1
    channels: ClassVar[int] = SYMBOLS
    outputs: ClassVar[int] = SYMBOLS
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 1 - 1 / INFORMATIVE

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        inputs = random.integers(INFORMATIVE, SYMBOLS, (length, batch), dtype=np.uint8)
        inputs[0] = random.integers(0, INFORMATIVE, batch, dtype=np.uint8)
        return Batch(inputs, inputs[:1].astype(np.int64))
