"""A rule that stops hopeless replicas early, and the audit on which it would be used.

A rule looks at a replica's scores so far and may flag it as hopeless. A flagged replica is stopped and counts as not
solved, except one in ten, drawn from its seed, which runs on: that is the audit. A flagged replica that runs on and
solves is a false alarm. The rule is used only while the upper bound of its rate of false alarms is small enough. A
single search flags too few replicas to show that, so a rule brings the audit of the curves it was chosen on, and the
search's own audit can only count against it. No rule passes on the default tasks (LOG.md), so the pipeline has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, binomtest


@dataclass(frozen=True)
class Progress:
    """What one replica has reached so far; scores are 0 at chance and 1 at the goal."""

    updates: Sequence[int]  # at which it was checked, rising
    scores: Sequence[float]
    budget: int  # updates that it is allowed


@dataclass(frozen=True)
class NoProgress:
    """Flags a replica whose best score has hardly risen for a good part of its budget."""

    after: float  # share of the budget before which nothing is flagged
    window: float  # share of the budget over which the rise is measured
    rise: float  # smallest rise of the best score that counts as progress, 1 is from chance to goal

    def should_stop(self, progress: Progress) -> bool:
        """Return True if the best score rose by less than `rise` over the window that ends now."""
        now = progress.updates[-1]
        if now < self.after * progress.budget or now < self.window * progress.budget:
            return False
        best = np.maximum.accumulate(progress.scores)
        before = np.searchsorted(progress.updates, now - self.window * progress.budget, side="right") - 1
        return bool(best[-1] - (best[before] if before >= 0 else 0.0) < self.rise)


@dataclass(frozen=True)
class Audit:
    """Flagged replicas that ran on, and how many of them solved after all."""

    audited: int = 0
    false: int = 0

    def __add__(self, other: "Audit") -> "Audit":
        """Return both audits together."""
        return Audit(self.audited + other.audited, self.false + other.false)

    def upper(self) -> float:
        """Return the upper 95% confidence bound of the rate of false alarms (Clopper and Pearson 1934)."""
        if self.audited == 0:
            return 1.0
        exact = binomtest(self.false, self.audited, alternative="less").proportion_ci(0.95, method="exact")
        return float(exact.high)


@dataclass(frozen=True)
class Futility:
    """A rule and the conditions on which it is used."""

    rule: NoProgress
    known: Audit  # on the curves that the rule was chosen on
    share: float = 0.1  # of the flagged replicas that run on
    limit: float = 0.05  # largest upper bound of the rate of false alarms
    doubt: float = 0.05  # chance of so many false alarms in the study, at this limit, below which it is switched off

    def trusted(self, study: Audit) -> bool:
        """Return True if the rule may be used, given the audit of the study so far."""
        contradicted = binom.sf(study.false - 1, study.audited, self.limit) < self.doubt
        return not contradicted and (self.known + study).upper() <= self.limit
