"""The verdict: why seeds fail, of one seed and of a pair. Pure; it reads the figures that are shown beside it.

An intervention (`arms`) rescues if its share of rescued seeds is at least `ENOUGH`, and larger than its baseline's with
probability `SURE`; the baseline is the retraining on other sequences, and for `both` the larger budget alone. Asked
first is who rescues at the same budget, for that says more than what four times the updates rescue.

vanishing         a longer memory or the regularizer rescues at the same budget, and at half of the failing seeds or
                  more the early steps have no say (`vanishing.vanishes`)
unstable          smaller steps rescue, at the same budget or where more updates alone do not; or what preserves the
                  gradient does, and at half of the failing seeds or more it explodes
slow              nothing rescues at the same budget but larger steps, or more updates do; the gradient arrives: it
                  vanishes at less than half of the failing seeds
cannot represent  a reason is known why the cell can't represent the task (`horizon/representation.py`), nothing rescues
                  anyone, no seed solves, and the gradient arrives
mixed             two causes, of which neither rescues more; what rescues and the gradient disagree; or less than half
                  of the retrained seeds have the cause by their own verdict. The counts say
unknown           fewer than `FEWEST` failing seeds, or no intervention is that far from its baseline

How many seeds. With Jeffreys' prior 3 of 4 against 0 of 4 is larger with probability .989, 2 of 4 with .952, 5 of 8
against 2 of 8 with .936, 10 of 16 against 4 of 16 with .985. So four failing seeds tell a cause that rescues nearly
all, and sixteen one that rescues half where luck rescues a quarter. Each round of seeds is one look more, so SURE is
above the usual .95.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.explanation.arms import (
    BASELINE,
    BOTH,
    BUDGET,
    LARGER,
    LUCK,
    PRESERVE,
    SAME_BUDGET,
    SMALLER,
)
from pipeline.explanation.evidence import Evidence
from pipeline.explanation.rescue import Share
from pipeline.explanation.vanishing import vanishes

VANISHING, UNSTABLE, SLOW, CANNOT, MIXED, UNKNOWN = VERDICTS = (
    "vanishing",
    "unstable",
    "slow",
    "cannot represent",
    "mixed",
    "unknown",
)
SURE = 0.97  # probability that an arm's share is larger than its baseline's
ENOUGH = 0.25  # least share that an arm must rescue: a cause of fewer failures does not name a pair
FEWEST = 4  # failing seeds: with three, 2 of 3 against 0 of 3 is not SURE
HALF = 0.5  # share of the failing seeds whose gradient must agree


@dataclass(frozen=True)
class Case:
    """All that the rule reads of a pair."""

    arms: Mapping[str, Share]  # those that were trained
    evidence: Sequence[Evidence]  # of the failing seeds
    solved: int  # seeds that solved in the plain training
    bounded: bool = False  # whether a reason is known why the cell can't represent the task
    own: Sequence[str] = ()  # verdicts of the failing seeds that were retrained

    @property
    def vanishes(self) -> bool:
        """Whether the gradient vanishes at half of the failing seeds or more."""
        return self._share([vanishes(each) for each in self.evidence]) >= HALF

    @property
    def explodes(self) -> bool:
        """Whether the gradient explodes at half of the failing seeds or more."""
        return self._share([each.exploded for each in self.evidence]) >= HALF

    def rescues(self, arm: str) -> bool:
        """Return True if an arm was trained and rescues more than its baseline."""
        probability = self.exceeds(arm)
        enough = arm in self.arms and self.arms[arm].solved >= ENOUGH * self.arms[arm].seeds
        return enough and probability is not None and probability >= SURE

    def exceeds(self, arm: str) -> float | None:
        """Return the probability that an arm rescues a larger share than its baseline; None where one is not there."""
        share, base = self.arms.get(arm), self.arms.get(BASELINE.get(arm, LUCK))
        return None if share is None or base is None or arm == LUCK else share.exceeds(base)

    def may_rescue(self, arm: str, left: int) -> bool:
        """Return whether an arm would rescue if all the seeds that are left to it solved.

        Always of the baseline that the others need, and where the cell may be unable to represent the task, for then
        it counts that nobody solves.
        """
        if arm == LUCK or self.bounded:
            return True
        had = self.arms.get(arm, Share(0, 0))
        best = Share(had.solved + left, had.seeds + left)
        return replace(self, arms={**self.arms, arm: best}).rescues(arm)

    def _share(self, true: Sequence[bool]) -> float:
        return sum(true) / len(true) if true else 0.0


def verdict(case: Case) -> str:
    """Return one of `VERDICTS`."""
    told = _by_arms(case) if len(case.evidence) >= FEWEST else UNKNOWN
    named = told in (VANISHING, UNSTABLE, SLOW)
    return MIXED if named and list(case.own).count(told) < HALF * len(case.own) else told


def _by_arms(case: Case) -> str:
    """Return what the shares of rescued seeds say, with the gradients."""
    causes = {arm: _cause(arm, case) for arm in SAME_BUDGET if case.rescues(arm)}
    if causes:
        return _strongest(causes, case.arms)
    if case.rescues(BOTH):
        return UNSTABLE
    if case.rescues(BUDGET) or case.rescues(LARGER):
        return MIXED if case.vanishes else SLOW
    nobody = not case.solved and not any(share.solved for share in case.arms.values())
    if case.bounded and nobody and {BUDGET, LARGER} <= case.arms.keys() and not case.vanishes:
        return CANNOT
    return UNKNOWN


def _cause(arm: str, case: Case) -> str:
    """Return what it says that this arm rescues at the same budget."""
    if arm == SMALLER or case.explodes:
        return UNSTABLE
    return VANISHING if case.vanishes else MIXED


def _strongest(causes: Mapping[str, str], arms: Mapping[str, Share]) -> str:
    """Return the cause whose best arm rescues more than that of every other; else mixed."""
    best: dict[str, Share] = {}
    for arm, cause in causes.items():
        best[cause] = max(best.get(cause, Share(0, 1)), arms[arm], key=lambda share: share.solved / share.seeds)
    first = max(best, key=lambda cause: best[cause].solved / best[cause].seeds)
    sure = all(best[first].exceeds(other) >= SURE for cause, other in best.items() if cause != first)
    return first if sure else MIXED


def seed_verdict(rescued: Mapping[str, bool], evidence: Evidence, bounded: bool = False) -> str:
    """Return one of `VERDICTS` of one failing seed; `rescued` tells, for each arm that retrained it, if it solved.

    A seed that other sequences rescue too tells nothing of the cause.
    """
    if rescued.get(LUCK):
        return UNKNOWN
    preserved = any(rescued.get(arm) for arm in PRESERVE)
    if rescued.get(SMALLER) or (preserved and evidence.exploded):
        return MIXED if preserved and vanishes(evidence) else UNSTABLE
    if preserved:
        return VANISHING if vanishes(evidence) else MIXED
    if rescued.get(BUDGET) or rescued.get(LARGER):
        return MIXED if vanishes(evidence) else SLOW
    if rescued.get(BOTH):
        return UNSTABLE
    every = {BUDGET, LARGER} <= rescued.keys()
    return CANNOT if bounded and every and not vanishes(evidence) else UNKNOWN


def counts(found: Sequence[str]) -> dict[str, int]:
    """Return how many seeds have each verdict, those that none has left out, in the order of `VERDICTS`."""
    number = Counter(found)
    return {each: number[each] for each in VERDICTS if number[each]}
