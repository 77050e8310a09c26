"""The adding problem of Pascanu et al. 2013."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.tasks.marked_values import MarkedValues, Values


@dataclass(frozen=True)
class AddingPascanu(MarkedValues):
    """Half the sum of the two marked values (Hochreiter & Schmidhuber 1997, in the variant of Pascanu et al. 2013).

    step      0   1 | 2   3   4   5   6   7   8   9 | 10  …  19     l = 20
    value    .31 .84 .05 .77 .12 .66 .90 .43 .50 .08  .21 … .37     ~ U[0, 1]
    marker     0   1   0   0   0   0   1   0   0   0    0 …   0     one in [0, l/10), one in [l/10, l/2), uniform
    answer                                                  .87     after the last step: (.84 + .90) / 2

    The mean of two uniform numbers has variance 1/24, which is the squared error of always answering 1/2. An answer is
    wrong if its squared error is above .04; 1/2 is within .2 of the answer with probability 1 - .6^2, so that guess is
    wrong 36 % of the time.
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; half the sum, markers in the first half"
    )
    chance: ClassVar[float] = 0.36

    def answer(self, first: Values, second: Values) -> Values:
        return np.asarray((first + second) / 2)
