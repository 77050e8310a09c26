"""The multiplication problem."""

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from pipeline.tasks.marked_values import MarkedValues, Values


@dataclass(frozen=True)
class Multiplication(MarkedValues):
    """Multiply the two marked values (Hochreiter & Schmidhuber 1997, in the variant of Pascanu et al. 2013).

    step      0   1 | 2   3   4   5   6   7   8   9 | 10  …  19     l = 20
    value    .31 .84 .05 .77 .12 .66 .90 .43 .50 .08  .21 … .37     ~ U[0, 1]
    marker     0   1   0   0   0   0   1   0   0   0    0 …   0     one in [0, l/10), one in [l/10, l/2), uniform
    answer                                                 .756     after the last step: .84 x .90

    The product has mean 1/4 and variance 7/144, the squared error of always answering 1/4. An answer is wrong if its
    squared error is above .04. The product is below p with probability p (1 - ln p), its density falls: the best guess
    is .2, right for all below .4, and wrong 23.3 % of the time.
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; product, markers in the first half"
    )
    chance: ClassVar[float] = 1 - 0.4 * (1 - log(0.4))

    def answer(self, first: Values, second: Values) -> Values:
        return np.asarray(first * second)
