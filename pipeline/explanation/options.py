"""The settings of an explanation; conf/explain.yaml has the values and the reasons."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pipeline.base.errors import require
from pipeline.base.rules import SHARE, Section, above, at_least, between

MOST = 256  # seeds


@dataclass(frozen=True)
class ExplainOptions(Section):
    """At which length, on how many seeds, with which changes, and what it may cost."""

    section: ClassVar[str] = "explain"

    share: Annotated[float, SHARE]  # of the seeds, that solve the length at which a pair is explained
    group: Annotated[int, between(1, MOST)]  # seeds trained side by side
    round: Annotated[int, between(1, MOST)]  # failing seeds that each arm retrains at most, then the rule is asked
    failing: Annotated[int, between(1, MOST)]  # failing seeds after which it ends, whatever the rule says
    budget: Annotated[int, at_least(2)]  # multiple of the updates
    slower: Annotated[float, above(1)]  # divisor of the learning rate
    clip: Annotated[float, above(1)]  # divisor of the largest gradient norm
    faster: Annotated[float, above(1)]  # multiple of the learning rate
    regularizer: Annotated[float, above(0)]  # weight of Omega
    searches: Annotated[float, above(0)]  # cost cap, in searches of the pair
    least: Annotated[int, at_least(1)]  # replica x updates x length that is allowed whatever the search took
    fresh: bool  # train everything again

    def cap(self, compute: int) -> int:
        """Return the most that an explanation may cost, from what the search took: replica x updates x length."""
        return max(round(self.searches * compute), self.least)

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of its range."""
        super().check()
        require(
            self.failing >= self.round, "explain.failing", f"must be at least explain.round {self.round}", self.failing
        )
