"""Stopping hopeless replicas early, by a rule that is audited, and that switches itself off when it proves wrong.

A rule looks at a replica's scores so far and may flag it as hopeless. A flagged replica is stopped and counts as not
solved, except one in ten, drawn from its number, which runs on: that is the audit. A flagged replica that runs on and
solves is a false alarm. The rule is used only while the upper bound of its rate of false alarms is small enough. A
single search has too few flagged replicas to show that, so a rule brings along the audit of the curves that it was
chosen on, and the study's own audit may only speak against it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb, fsum
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Progress:
    """What one replica has reached so far; scores are 0 at chance and 1 at the goal."""

    updates: Sequence[int]  # at which it was checked, rising
    scores: Sequence[float]
    budget: int  # updates that it is allowed


@runtime_checkable
class Rule(Protocol):
    """Tells hopeless replicas from others."""

    def should_stop(self, progress: Progress) -> bool:
        """Return whether the replica will not solve the task within its budget."""


@dataclass(frozen=True)
class NoProgress:
    """Flags a replica whose best score has hardly risen for a good part of its budget."""

    after: float  # share of the budget before which nothing is flagged
    window: float  # share of the budget over which the rise is measured
    rise: float  # smallest rise of the best score that counts as progress, 1 is from chance to goal

    def should_stop(self, progress: Progress) -> bool:
        """Return whether the best score rose by less than `rise` over the window that ends now."""
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

    def upper(self, certainty: float = 0.95) -> float:
        """Return the upper confidence bound of the rate of false alarms (Clopper and Pearson 1934)."""
        if self.false == self.audited:
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(self.false, self.audited, middle) > 1 - certainty else (low, middle)
        return high


@dataclass(frozen=True)
class Futility:
    """A rule and the conditions on which it is used."""

    rule: Rule
    known: Audit  # on the curves that the rule was chosen on
    share: float = 0.1  # of the flagged replicas that run on
    limit: float = 0.05  # largest upper bound of the rate of false alarms
    doubt: float = 0.05  # chance of so many false alarms in the study, at this limit, below which it is switched off

    def trusted(self, study: Audit) -> bool:
        """Return whether the rule may be used, given the audit of the study so far."""
        contradicted = 1 - at_most(study.false - 1, study.audited, self.limit) < self.doubt
        return not contradicted and (self.known + study).upper() <= self.limit

    def runs_on(self, replica: int) -> bool:
        """Return whether this replica runs on when it is flagged; drawn from its number, so always the same."""
        return bool(np.random.default_rng([replica, 0xA0D17]).random() < self.share)


def at_most(count: int, trials: int, chance: float) -> float:
    """Return the binomial chance of at most this many."""
    return fsum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(count + 1))


def flag(update: int, runs_on: bool, solved: bool) -> dict[str, Any]:
    """Return what a trial records of a flagged replica, under `extra["futility"]`, a list of these or None."""
    return {"update": update, "audited": runs_on, "solved": solved}


def audit(extras: Iterable[Mapping[str, Any]]) -> Audit:
    """Return the audit of the trials with these `extra` records."""
    flags = [each for extra in extras for each in extra.get("futility", ()) if each and each["audited"]]
    return Audit(len(flags), sum(bool(each["solved"]) for each in flags))


def stopped(extras: Iterable[Mapping[str, Any]]) -> int:
    """Return how many replicas were stopped early."""
    return sum(1 for extra in extras for each in extra.get("futility", ()) if each and not each["audited"])
