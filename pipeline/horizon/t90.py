"""The posterior of T90, the length that nine in ten replicas solve.

    log2 T90 = theta + s (logit(.5 / (1 - lapse)) - logit((.9 - f) / (1 - f - lapse)))

It exists only where the lapse is below .1, so the grid needs finer lapses there, and the answer may be "undefined".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.horizon.belief import belief
from pipeline.horizon.model import FLOOR, SLOPES, STEP, Array, Grid, logit, outcome_table
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior, Quantiles, mutual_information

LAPSES = ((0.005, 0.35), (0.02, 0.2), (0.05, 0.15), (0.08, 0.1), (0.12, 0.1), (0.20, 0.1))  # lapse, prior weight
SHARE = 0.9  # of the replicas


@dataclass(frozen=True, eq=False)
class Ninety(Quantiles):
    """The belief about T90, given that it is defined; `base` is the posterior on the grid with the finer lapses."""

    base: Posterior

    @property
    def range(self) -> tuple[int, int]:
        """The shortest and the longest length that may be tried."""
        return self.base.range

    @property
    def undefined(self) -> float:
        """Probability that no length is solved by nine in ten replicas."""
        return float(self.base.weights[:, :, ~self._defined].sum())

    def chance(self, length: int) -> float:
        """Return the mean chance that a replica solves this length."""
        return self.base.chance(length)

    def information(self, length: int, replicas: int) -> float:
        """Return the expected information (nats) of a trial about T90, "undefined" counted as one of its values."""
        weights = self.base.weights
        table = outcome_table(self.base.grid, length, replicas).reshape(-1, *weights.shape)
        joint = np.einsum("ktslr,tslr->ktsl", table, weights)
        return mutual_information(self._by_ninety(joint))

    def _by_ninety(self, joint: Array) -> Array:
        """Return a (outcome, horizon, slope, lapse) array summed into (outcome, T90 in grid steps or undefined)."""
        offsets = np.rint(self._shifts / STEP).astype(int)
        count, lowest = joint.shape[1], offsets.min()
        total = np.zeros((len(joint), count + offsets.max() - lowest + 1))
        for slope, lapse in np.argwhere(np.ones_like(offsets)):
            start = offsets[slope, lapse] - lowest
            total[:, start : start + count] += joint[:, :, slope, lapse]
        total[:, -1] = joint[..., ~self._defined].sum(axis=(1, 2, 3))
        return total

    @cached_property
    def _defined(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.array([lapse < 1 - SHARE for lapse, _ in self.base.grid.lapses])

    @cached_property
    def _shifts(self) -> Array:
        """Octaves from T50 to T90, shape (slopes, lapses below .1)."""
        lapses = np.array([lapse for lapse, _ in self.base.grid.lapses])[self._defined]
        rise = logit(0.5 / (1 - lapses)) - logit((SHARE - FLOOR) / (1 - FLOOR - lapses))
        return np.asarray(np.multiply.outer(np.array(SLOPES), rise))

    @cached_property
    def _edges(self) -> Array:
        theta = self.base.grid.theta
        return np.arange(theta[0] - STEP / 2 + self._shifts.min(), theta[-1] + STEP, STEP / 2)

    @cached_property
    def _cumulative(self) -> Array:
        """Cumulative weight of T90 at the edges: that of theta for each slope and lapse, moved by its shift."""
        weights = self.base.weights.sum(axis=3)[:, :, self._defined]
        theta_edges = np.append(self.base.grid.theta - STEP / 2, self.base.grid.theta[-1] + STEP / 2)
        total = np.zeros_like(self._edges)
        for slope, lapse in np.argwhere(np.ones_like(self._shifts)):
            cumulative = np.append(0.0, np.cumsum(weights[:, slope, lapse]))
            total += np.interp(self._edges - self._shifts[slope, lapse], theta_edges, cumulative)
        return np.asarray(total / total[-1])


def ninety(seen: Sequence[Observation], grid: Grid) -> Ninety:
    """Return the posterior of T90 after these trials."""
    return Ninety(belief(seen, Grid(grid.shortest, grid.longest, LAPSES), two_steps=False))
