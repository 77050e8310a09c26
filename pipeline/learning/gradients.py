"""Figures of the gradient on its way back through time. Norms are log2, so nothing underflows or overflows.

n_t = ‖∂L/∂h_t‖, the Frobenius norm over the batch and the units, of the state after step t = 1 … T. Where a state has
more parts (c of an LSTM), each has the same figures, named for it: `gradient/decay_c`.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pipeline.base.numbers import LOG10_2

VANISHED = np.log2(1e-4)  # a step whose norm is this far below the largest gets no gradient worth the name

Norms = Float[ndarray, "replica time"]
PerReplica = Float[ndarray, " replica"]


def of_parts(log2_norms: Mapping[str, Norms], answers: int) -> dict[str, PerReplica]:
    """Return the `summary` of each part of the state.

    The first part's figures have plain names, those of the others end with theirs.
    """
    figures: dict[str, PerReplica] = {}
    for index, (part, norms) in enumerate(log2_norms.items()):
        ending = f"_{part}" if index else ""
        figures |= {f"{name}{ending}": values for name, values in summary(norms, answers).items()}
    return figures


def summary(log2_norms: Norms, answers: int) -> dict[str, PerReplica]:
    """Return the figures of one update, one number a replica; `answers` is how many last steps carry a target."""
    decays = decay(log2_norms, answers)
    return {
        "gradient/decay": decays,
        "gradient/reach": reach(decays),
        "gradient/first_over_last": first_over_last(log2_norms),
        "gradient/vanished": vanished(log2_norms),
    }


def decay(log2_norms: Norms, answers: int) -> PerReplica:
    """Return the factor by which the norm changes with each step back: 2^(-slope of log2 n_t over t), least squares.

    Only steps up to the first answer count, where no new error enters; NaN where there are fewer than two.
    Pascanu et al. 2013, section 2: the norm is bounded by a geometric series in the number of steps back.
    """
    before = log2_norms[:, : log2_norms.shape[1] - answers + 1].astype(np.float64)
    steps = np.arange(before.shape[1]) - (before.shape[1] - 1) / 2
    if len(steps) < 2:
        return np.full(len(before), np.nan)
    slope: PerReplica = before @ steps / (steps @ steps)
    with np.errstate(over="ignore"):  # inf says that it grows by more than any number
        factor: PerReplica = np.exp2(-slope)
    return factor


def reach(decays: PerReplica) -> PerReplica:
    """Return -1 / ln(decay), the steps after which the gradient has fallen to 1/e; NaN where it doesn't, 0 for decay 0.

    The timescale of Chen, Pennington, Schoenholz 2018 (arXiv:1806.05394), here of the loss gradient itself.
    """
    falls = decays < 1
    steps = -1 / np.log(np.where(falls & (decays > 0), decays, 0.5))
    return np.where(falls, np.where(decays > 0, steps, 0.0), np.nan)


def first_over_last(log2_norms: Norms) -> PerReplica:
    """Return log10 (n_1 / n_T): below 0 the gradient vanishes on its way to the first step, above 0 it explodes."""
    first, last = log2_norms[:, 0].astype(np.float64), log2_norms[:, -1].astype(np.float64)
    difference: PerReplica = (first - last) * LOG10_2
    return difference


def vanished(log2_norms: Norms) -> PerReplica:
    """Return the share of steps whose norm is below 1e-4 of the largest."""
    largest = log2_norms.max(axis=1, keepdims=True)
    share: PerReplica = (log2_norms < largest + VANISHED).mean(axis=1)
    return share
