"""The temporal order problem with two symbols."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from pipeline.tasks.symbol_order import DISTRACTORS, SYMBOLS, ordered
from pipeline.tasks.task import Batch, Task


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Say which of A and B came first and second (Hochreiter & Schmidhuber 1997, as in Pascanu et al. 2013).

    step    0 1 2 3 4 5 6 7 8 9 …  L = 20        c, d, e, f: distractors, uniform
    input   c f A d e c c f e d B f c d e c f d e c
                |               |
                first: [L/10, 2L/10)   second: [5L/10, 6L/10), both uniform
    answer                                     AB: one of AA, AB, BA, BB after the last step

    Both windows are floor(L/10) wide, so L is at least 10. Guessing is wrong three times in four.
    """

    source: ClassVar[str] = "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; two symbols, four classes"
    kind: ClassVar[str] = "classification"
    symbols: ClassVar[bool] = True
    shortest: ClassVar[int] = 10
    channels: ClassVar[int] = SYMBOLS + DISTRACTORS
    outputs: ClassVar[int] = SYMBOLS**2
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 1 - SYMBOLS**-2

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        return ordered(random, length, batch, starts=[length // 10, length // 2])
