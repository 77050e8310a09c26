"""The probability of each order of several cells on one task, exact, from the posteriors of their horizons."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from math import factorial, prod

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.numbers import significant
from pipeline.horizon.posterior import Posterior

MANY = 6  # cells of which every order is looked at; of more, that of the medians alone


@dataclass(frozen=True)
class Ranking:
    """The likeliest order of some cells, the longest horizon first."""

    order: tuple[str, ...]
    probability: float  # of the whole order
    pairs: tuple[float, ...]  # that each cell's horizon lies above that of the next
    best: dict[str, float]  # probability of each cell to have the longest horizon


def ranking(beliefs: dict[str, Posterior]) -> Ranking:
    """Return the likeliest order and how likely it is; all posteriors must be on the same grid.

    The searches are independent, so the joint posterior is their product. Horizons beyond the lengths that were tried
    are ordered by the prior alone: two cells of which nothing but "above" is known are each first with probability 1/2.
    """
    if len({belief.grid for belief in beliefs.values()}) > 1:
        raise UserError("the cells of a task can be ranked only if all were searched between the same lengths")
    weights = {name: belief.theta for name, belief in beliefs.items()}
    medians = sorted(weights, key=lambda name: -beliefs[name].quantile(0.5))
    orders = list(permutations(medians)) if len(medians) <= MANY else [tuple(medians)]
    chances = [order_probability([weights[name] for name in reversed(order)]) for order in orders]
    first = orders[int(np.argmax(chances))]
    pairs = [order_probability([weights[low], weights[high]]) for high, low in pairwise(first)]
    best = {
        name: significant(highest(weights[name], [weights[other] for other in weights if other != name]))
        for name in first
    }
    return Ranking(first, significant(max(chances)), tuple(map(significant, pairs)), best)


def order_probability(weights: Sequence[np.ndarray]) -> float:
    """Return P(X_1 < X_2 < ... < X_n) for independent X_i with these weights in the bins of one grid.

    Within a bin every order is equally likely (its density is taken as even there). q_j is the probability that the
    first j lie in order in the bins so far; a bin takes m of the next: q'_j = sum_m q_(j-m) w_(j-m+1) ... w_j / m!
    """
    count = len(weights)
    placed = np.zeros(count + 1)
    placed[0] = 1.0
    for shares in np.stack(weights).T:
        placed = np.array(
            [
                sum(placed[j - m] * prod(shares[j - m : j]) / factorial(m) for m in range(j + 1))
                for j in range(count + 1)
            ]
        )
    return float(placed[-1])


def highest(mine: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """Return the probability that one is above all others: the mean over its own bin of the product of their CDFs.

    Within a bin the CDFs rise evenly from below to above; the product is integrated exactly, by Gauss and Legendre.
    """
    nodes, weights = np.polynomial.legendre.leggauss(max(1, (len(others) + 2) // 2))
    total = 0.0
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        below = [np.cumsum(other) - other + node * other for other in others]
        total += float(weight * (mine * np.prod(below, axis=0)).sum())
    return total
