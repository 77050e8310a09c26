"""Cells made up for the simulation: a known curve of solving, from which replicas are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import log2
from typing import Protocol

import numpy as np
from numpy.random import Generator
from scipy.optimize import brentq

from pipeline.horizon.model import solve_chance
from pipeline.horizon.observation import Observation
from tests.benchmarks.futility_rule import Audit, Futility, NoProgress

BUDGET = 1000  # updates; only shares of it matter
USED = (0.2, 0.8)  # share of the budget at which a solver solves, uniform
SLOPES = (0.06, 0.6)  # octaves, log-uniform
SHALLOW = 0.35  # octaves


class Cell(Protocol):
    """What a search trains."""

    @property
    def theta(self) -> float:
        """Octaves, where its curve crosses one half."""

    @property
    def slope(self) -> float:
        """Octaves."""

    def trial(self, length: int, replicas: int, draw: Generator) -> Observation:
        """Train."""


@dataclass
class Truth:
    """A cell whose replicas solve length T with chance `curve(log2 T)`."""

    curve: Callable[[float], float]
    theta: float
    slope: float
    correlation: float = 0.0  # of the replicas of a trial

    def trial(self, length: int, replicas: int, draw: Generator) -> Observation:
        """Draw how many replicas solve the length, and when."""
        chance = self.curve(log2(length))
        if self.correlation:
            size = (1 - self.correlation) / self.correlation
            chance = draw.beta(chance * size, (1 - chance) * size)
        solved = draw.random(replicas) < chance
        when = np.ceil(BUDGET * draw.uniform(*USED, size=replicas)).astype(int)
        return observed(length, [int(update) if won else None for update, won in zip(when, solved, strict=True)])


def observed(length: int, updates: list[int | None]) -> Observation:
    """Return the trial in which replicas solved at these updates."""
    cost = float(sum(length * (update or BUDGET) for update in updates))
    solved = sum(update is not None for update in updates)
    return Observation(length, solved, len(updates), tuple(updates), BUDGET, cost)


def logistic(theta: float, slope: float, lapse: float = 0.0, correlation: float = 0.0) -> Truth:
    """Return a cell of the shape that the model assumes."""
    return Truth(lambda x: float(solve_chance(x, theta, slope, lapse)), theta, slope, correlation)


def standard(draw: Generator, theta: float | None = None, correlation: float = 0.0) -> Truth:
    """Return a cell of the goals: theta ~ U(3, 11) unless given, s log-uniform .06-.6, lapse 0 or U(0, .1)."""
    anywhere = draw.uniform(3, 11)
    slope = float(np.exp(draw.uniform(*np.log(SLOPES))))
    lapse = draw.uniform(0, 0.1) if draw.random() < 0.5 else 0.0
    return logistic(anywhere if theta is None else theta, slope, lapse, correlation)


def plateau(draw: Generator, share: float, octaves: float = 1.5) -> Truth:
    """Return a cell of which a share of the replicas fails some octaves before the others.

    Its curve has two steps with a plateau in between, at 1 - share.
    """
    theta, slope = draw.uniform(4, 10), float(np.exp(draw.uniform(np.log(0.06), np.log(0.3))))
    early, late = (theta - octaves, theta) if share < 0.5 else (theta, theta + octaves)

    def curve(x: float) -> float:
        return float(share * solve_chance(x, early, slope, 0.0) + (1 - share) * solve_chance(x, late, slope, 0.0))

    return Truth(curve, brentq(lambda x: curve(x) - 0.5, early - 4, late + 4), slope)


def dip(draw: Generator, depth: float = 0.8) -> Truth:
    """Return a cell that solves lengths around an octave below its horizon less often, by this depth."""
    theta, slope = draw.uniform(5, 10), float(np.exp(draw.uniform(np.log(0.06), np.log(0.3))))

    def curve(x: float) -> float:
        dent = depth * np.exp(-((x - theta + 1) ** 2) / (2 * 0.25**2))
        return float(solve_chance(x, theta, slope, 0.0) * (1 - dent))

    return Truth(curve, brentq(lambda x: curve(x) - 0.5, theta - 0.5, theta + 0.5), slope)


@dataclass
class Paced:
    """A cell whose replicas need more updates for longer sequences, so that its horizon grows with the budget.

    Replica r has its own horizon theta_r ~ logistic(theta, s) at the full budget B and solves length T at update
    B 2^((log2 T - theta_r) / pace); so its horizon at budget b is theta + pace log2(b / B), with the same slope.
    """

    theta: float
    slope: float
    pace: float  # octaves of length for an octave of budget

    def trial(self, length: int, replicas: int, draw: Generator) -> Observation:
        """Draw the horizon of every replica, and with it when it solves the length."""
        own = draw.logistic(self.theta, self.slope, size=replicas)
        when = np.ceil(BUDGET * 2 ** ((log2(length) - own) / self.pace))
        return observed(length, [int(update) if update <= BUDGET else None for update in when])

    def theta_at(self, budget: int) -> float:
        """Return the horizon, in octaves, at a smaller budget."""
        return self.theta + self.pace * log2(budget / BUDGET)


@dataclass
class Watched:
    """A cell whose replicas are stopped early where a rule flags them, under audit.

    The rule flags a share of the replicas that fail, and a share of those that would have solved later than it looks.
    """

    cell: Truth
    looks: float  # share of the budget after which the rule looks
    hits: float  # share of the failing replicas that it flags
    misses: float  # share of the later solving replicas that it flags
    futility: Futility
    study: Audit = field(default_factory=Audit)

    @property
    def theta(self) -> float:
        return self.cell.theta

    @property
    def slope(self) -> float:
        return self.cell.slope

    def trial(self, length: int, replicas: int, draw: Generator) -> Observation:
        """Train with the rule, as long as it is trusted."""
        whole = self.cell.trial(length, replicas, draw)
        chances = draw.random((2, replicas))
        if not self.futility.trusted(self.study):
            return whole
        look = round(self.looks * BUDGET)
        updates, saved = list(whole.updates), 0
        for replica, update in enumerate(whole.updates):
            late = update is None or update > look
            if not late or chances[0, replica] >= (self.hits if update is None else self.misses):
                continue
            if chances[1, replica] < self.futility.share:
                self.study += Audit(1, int(update is not None))
            else:
                updates[replica], saved = None, saved + length * ((update or BUDGET) - look)
        changed = observed(length, updates)
        return replace(changed, cost=whole.cost - saved)


def watched(draw: Generator, hits: float, misses: float) -> Watched:
    """Return a standard cell under a rule that was found good on 200 curves."""
    return Watched(standard(draw), 0.4, hits, misses, Futility(NoProgress(0.4, 0.2, 0.02), Audit(200, 2)))
