"""The noiseless memorization problem."""

from dataclasses import dataclass
from typing import ClassVar

from pipeline.tasks.recall import Recall


@dataclass(frozen=True)
class Memorization(Recall):
    """Repeat a message from the trigger on, without a mistake (Martens & Sutskever 2011, as in Pascanu et al. 2013).

    input   1 0 0 1 1 _ _ _ _ _ _ > _ _ _ _     message of n symbols, L blanks, trigger, n - 1 blanks
    answer                        1 0 0 1 1     one symbol at each of the last n steps, the first at the trigger

    An answer is wrong if any of its symbols is. Published are 5 symbols of 2 (5 bits) and 10 of 5 (> 20 bits). A
    sequence takes L + 2 n steps. Guessing is wrong 1 - alphabet^-n of the time, at cross entropy ln(alphabet). In the
    authors' code the blank is a class too, asked for at every step before the trigger; here only the message is.
    """

    source: ClassVar[str] = "Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063), authors' code; loss on the answer steps"
    kind: ClassVar[str] = "recall"

    @property
    def chance(self) -> float:
        return 1 - float(self.alphabet) ** -self.message

    def blanks(self, length: int) -> int:
        return length
