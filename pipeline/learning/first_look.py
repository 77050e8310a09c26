"""What a first look at some held-out sequences tells of all of them.

Most probes meet replicas that are far from their goals, and a part of the sequences says so. Let x_1 ... x_n be the
errors of a replica on the n sequences of the first look, out of N, and m their mean. The score on all N is not below a
goal g

    for certain     if n m / N >= g, for errors are never negative;
    but for a risk  if m' > g, where m' is the mean of min(x, b): were the mean of all N below g, then

                        P(mean of n of them >= m') <= exp(-n KL(m'/b || g/b)),   KL(p || q) = p ln(p / q)
                                                                                    + (1 - p) ln((1 - p) / (1 - q))

                    whatever their distribution (Hoeffding 1963, theorem 1, and section 6 for draws that are not put
                    back: held-out sequences are exchangeable). b takes each of `BOUNDS` in turn, and all of them, the
                    goals and the probes of a training share `RISK`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

RISK = 1e-4  # that a replica which meets a goal at a probe is overlooked there, at any probe of its training
BOUNDS = (4.0, 8.0, 16.0, 32.0, 64.0)  # in units of the goal; 1, the largest share of wrong answers, is another


@dataclass(frozen=True)
class Scores:
    """What a probe found, one number a replica."""

    scores: Float[ndarray, " replica"]  # on the first of the sequences, or on all of them
    first: Float[ndarray, " replica"]  # on the sequences of the first look: those of all replicas and probes compare
    counts: Int64[ndarray, " replica"]  # how many sequences a score is of
    whole: int  # how many there are


@dataclass(frozen=True)
class Wanted:
    """What a probe has to find out."""

    goals: Float[ndarray, "goal replica"]  # whether the score on all sequences is below these; 0 where that is known
    watched: Float[ndarray, " replica"]  # all sequences are looked at where the score of the first is below this
    probes: int = 1  # of the whole training
    whole: bool = False  # score all replicas on all sequences


def surely_not_below(
    goal: Float[ndarray, " replica"], errors: Float[ndarray, "replica looked"], count: int, probes: int = 1
) -> Bool[ndarray, " replica"]:
    """Return True where the mean of all `count` errors is at least the goal, whatever those not looked at may be.

    But for a risk of RISK in all probes and for two goals together. Errors that are no numbers leave it open.
    """
    looked = errors.shape[1]
    sure: ndarray = errors.sum(axis=1) / count >= goal * (1 + 1e-6)  # more than rounding could make up
    limits = [bound * goal for bound in BOUNDS] + [np.ones_like(goal)]
    enough = np.log(2 * len(limits) * probes / RISK)
    for limit in limits:
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, share = np.minimum(errors, limit[:, None]).mean(axis=1) / limit, goal / limit
            sure |= (mean > share) & (share < 1) & (looked * divergence(mean, share) >= enough)
    return sure


def divergence(p: Float[ndarray, "..."], q: Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    """Return KL(p || q) of two coins, 0 ln 0 being 0."""
    rest = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    found: ndarray = np.where(p > 0, p * np.log(p / q), 0.0) + rest
    return found
