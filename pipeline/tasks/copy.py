"""The copying problem."""

from dataclasses import dataclass
from typing import ClassVar

from pipeline.tasks.recall import Recall


@dataclass(frozen=True)
class Copy(Recall):
    """Repeat a message after `length` steps (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016; Bai et al. 2018).

    input   3 0 7 _ _ _ _ > _ _ _     message of symbols, length - 1 blanks, one delimiter, blanks
    answer                  3 0 7     one symbol at each of the last `message` steps

    The published setting has 10 symbols out of 8. A sequence takes length + 2 message steps. Without memory the best
    answer is a guess: cross entropy ln(alphabet) an answer, which is 10 ln 8 / (T + 20) where a paper averages over all
    steps and counts the blanks as answered.
    """

    source: ClassVar[str] = "Arjovsky, Shah, Bengio 2016 (arXiv:1511.06464), authors' code; loss on the answer steps"
    kind: ClassVar[str] = "classification"

    @property
    def chance(self) -> float:
        return 1 - 1 / self.alphabet

    def blanks(self, length: int) -> int:
        return length - 1
