"""The multiplication problem."""

from dataclasses import dataclass
from math import log
from typing import ClassVar

from numpy.random import Generator

from pipeline.tasks.marked_values import CHANNELS, marked
from pipeline.tasks.task import Batch, Kind, Task


@dataclass(frozen=True)
class Multiplication(Task):
    """Multiply the two marked values (Hochreiter & Schmidhuber 1997, in the variant of Pascanu et al. 2013).

    step      0   1 | 2   3   4   5   6   7   8   9 | 10  …  19     l = 20
    value    .31 .84 .05 .77 .12 .66 .90 .43 .50 .08  .21 … .37     ~ U[0, 1]
    marker     0   1   0   0   0   0   1   0   0   0    0 …   0     one in [0, l/10), one in [l/10, l/2), uniform
    answer                                                 .756     after the last step: .84 x .90

    All sequences of a batch have one length l ~ U{L … L + floor(L/10) - 1}, so L is at least 10. The product has mean
    1/4 and variance 7/144, the squared error of always answering 1/4. An answer is wrong if its squared error is above
    .04. The product is below p with probability p (1 - ln p), its density falls: the best guess is .2, right for all
    below .4, and wrong 23.3 % of the time. In the authors' code the second window ends at floor(.1 l) + floor(.4 l),
    for some l one step earlier.
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; product, markers in the first half"
    )
    kind: ClassVar[Kind] = "tolerance"
    shortest: ClassVar[int] = 10
    stretch: ClassVar[float] = 0.1
    channels: ClassVar[int] = CHANNELS
    outputs: ClassVar[int] = 1
    answers: ClassVar[int] = 1
    chance: ClassVar[float] = 1 - 0.4 * (1 - log(0.4))

    def steps(self, length: int) -> int:
        return length

    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        inputs, first, second = marked(random, length, batch)
        return Batch(inputs, (first * second)[None, :, None])
