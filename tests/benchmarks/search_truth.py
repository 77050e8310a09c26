"""Cells made up for the simulation: a known curve of solving, from which replicas are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.random import Generator
from scipy.optimize import brentq

from pipeline.horizon.model import solve_chance
from pipeline.horizon.posterior import Observation

BUDGET = 1000  # updates; only shares of it matter
USED = (0.2, 0.8)  # share of the budget at which a solver solves, uniform


@dataclass(frozen=True)
class Truth:
    """A cell whose replicas solve length T with chance `curve(log2 T)`."""

    curve: Callable[[float], float]
    theta: float  # octaves, where the curve crosses one half
    slope: float
    correlation: float = 0.0  # of the replicas of a trial

    def trial(self, length: int, replicas: int, draw: Generator) -> Observation:
        """Train: draw how many replicas solve the length, and when."""
        chance = self.curve(log2(length))
        if self.correlation:
            size = (1 - self.correlation) / self.correlation
            chance = draw.beta(chance * size, (1 - chance) * size)
        solved = draw.random(replicas) < chance
        when = np.ceil(BUDGET * draw.uniform(*USED, size=replicas)).astype(int)
        updates = tuple(int(update) if won else None for update, won in zip(when, solved, strict=True))
        cost = sum(length * (update or BUDGET) for update in updates)
        return Observation(length, int(solved.sum()), replicas, updates, BUDGET, float(cost))


def logistic(theta: float, slope: float, lapse: float = 0.0, correlation: float = 0.0) -> Truth:
    """Return a cell of the shape that the model assumes."""
    return Truth(lambda x: float(solve_chance(x, theta, slope, lapse)), theta, slope, correlation)


def plateau(theta: float, slope: float, share: float, octaves: float) -> Truth:
    """Return a cell of which this share of replicas fails that many octaves earlier than the others.

    The curve has two steps with a plateau in between, at 1 - share; theta is that of the step that crosses one half.
    """
    early, late = (theta - octaves, theta) if share < 0.5 else (theta, theta + octaves)

    def curve(x: float) -> float:
        return float(share * solve_chance(x, early, slope, 0.0) + (1 - share) * solve_chance(x, late, slope, 0.0))

    crossing = brentq(lambda x: curve(x) - 0.5, early - 4, late + 4)
    return Truth(curve, crossing, slope)


def dip(theta: float, slope: float, depth: float, octaves: float) -> Truth:
    """Return a cell that solves lengths around `octaves` below its horizon less often, by this depth."""

    def curve(x: float) -> float:
        dent = depth * np.exp(-((x - theta + octaves) ** 2) / (2 * 0.25**2))
        return float(solve_chance(x, theta, slope, 0.0) * (1 - dent))

    return Truth(curve, brentq(lambda x: curve(x) - 0.5, theta - 0.5, theta + 0.5), slope)


def standard(draw: Generator, correlation: float = 0.0) -> Truth:
    """Return the cell of the goals: theta ~ U(3, 11), s log-uniform .06-.6, lapse 0 or U(0, .1)."""
    theta, slope = draw.uniform(3, 11), float(np.exp(draw.uniform(np.log(0.06), np.log(0.6))))
    lapse = draw.uniform(0, 0.1) if draw.random() < 0.5 else 0.0
    return logistic(theta, slope, lapse, correlation)
