"""The temporal order problem with three symbols."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from pipeline.tasks.symbol_order import DISTRACTORS, SYMBOLS, ordered
from pipeline.tasks.task import Batch, Task


@dataclass(frozen=True)
class TemporalOrder3(Task):
    """Say which of A and B came first, second and third (Hochreiter & Schmidhuber 1997, as in Pascanu et al. 2013).

    step    0 1 2 3 4 5 6 7 8 9 …  L = 20        c, d, e, f: distractors, uniform
    input   c f A d e c B f e d c f B c d e c f d e
                |       |           |
                |       |           third: [6L/10, 7L/10)
                |       second: [3L/10, 4L/10)            all uniform
                first: [L/10, 2L/10)
    answer                                    ABB: one of AAA, AAB, … BBB after the last step

    The windows are floor(L/10) wide, so L is at least 10. Guessing is wrong seven times in eight: ln 8 = 2.079 nats.
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; three symbols, eight classes"
    )
    kind: ClassVar[str] = "classification"
    symbols: ClassVar[bool] = True
    shortest: ClassVar[int] = 10
    channels: ClassVar[int] = SYMBOLS + DISTRACTORS
    outputs: ClassVar[int] = SYMBOLS**3
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 1 - SYMBOLS**-3

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        return ordered(random, length, batch, starts=[length // 10, 3 * length // 10, 6 * length // 10])
