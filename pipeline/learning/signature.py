"""Why a replica failed, as far as its gradient tells: vanishing, exploding, or neither.

The rule, on what was recorded of one replica, with n_t = ‖∂L/∂h_t‖. The gradient has grown in a recorded update if the
largest n_t before the first answer is more than tenfold (`GROWN`) that at the first answer.

exploding  its loss or gradient became not finite; or the gradient has grown in at least a quarter (`OFTEN`) of the
           recorded updates, and the recurrence bears it out: the largest Lyapunov exponent is above 0, or the spectral
           radius has risen (`RISEN`) since the first inspection (Pascanu et al. 2013: a radius above 1, and rising); or
           the spectral radius is now above ten and tenfold (`BLOWN`; tiny weights that grow to a radius of 1 learn):
           one step threw the weights so far that all units saturate, and nothing comes back any more; or even its best
           score is three times (`WORSE`) that of no training at all: of chance, and of its weights at the first update.
vanishing  else, if in the median recorded update a quarter of the steps or more got next to nothing, n_t below 1e-4 of
           the largest (gradient/vanished); or a hundredth of the largest or less reaches the first step, and the early
           steps' part of dL/dW is no more than noise (`explanation/vanishing.py`). Then what those steps hold has no
           say in the update, and clipping can't change that.
neither    else: gradients arrive, and do not explode. The budget, the learning rate or the task's noise is in the way.

A replica that solved its task has no signature. The rule describes the gradient of a failing replica; it is no proof
that the gradient is the cause: `pipeline.explain` asks what would rescue it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pipeline.base.numbers import LOG10_2, finite
from pipeline.explanation.vanishing import early_steps_lost
from pipeline.learning import gradients

VANISHING, EXPLODING, NEITHER = SIGNATURES = ("vanishing", "exploding", "neither")

GROWN = 1.0  # log10: a tenfold growth is what no clip at the norm of a usual update lets pass unchanged
OFTEN = 0.25  # share of recorded updates: explosions come and go, as a clipped step may lead out of the steep region
RISEN = 1.05  # factor: noise of training moves a spectral radius by less
BLOWN = 10.0  # factor: no sequence of small steps on a healthy gradient moves a radius that far within a budget
WORSE = 3.0  # factor: the loss at the first update is of one batch, and misses that of the weights by less


@dataclass(frozen=True)
class Evidence:
    """The figures of one replica that the rule reads."""

    diverged: bool
    grown: float  # share of the recorded updates in which the gradient grew back through time by more than `GROWN`
    vanished: float  # gradient/vanished in the median recorded update
    radius: tuple[float, float]  # weight/spectral_radius at the first and at the last inspection
    lyapunov: float  # jacobian/lyapunov at the last inspection
    first: float = 0.0  # log10 of n_1 by the largest, in the median recorded update
    signal_to_noise: float | None = None  # gradient/signal_to_noise at the last inspection
    worse: float = 0.0  # best held-out score, by the greater of chance and the loss at the first update


def signature(evidence: Evidence) -> str:
    """Return one of `SIGNATURES`."""
    first, last = evidence.radius
    borne_out = evidence.lyapunov > 0 or last > RISEN * first
    blown_up = last > BLOWN * max(first, 1.0)
    lost = evidence.diverged or evidence.worse > WORSE
    if lost or blown_up or (evidence.grown >= OFTEN and borne_out):
        return EXPLODING
    lost = early_steps_lost(evidence.vanished, evidence.first, evidence.signal_to_noise)
    return VANISHING if lost else NEITHER


def evidence(
    log2_norms: Sequence[Float[ndarray, " _"]],
    answers: int,
    diverged: bool,
    first: Mapping[str, float],
    last: Mapping[str, float],
    worse: float = 0.0,
) -> Evidence:
    """Return the evidence, from log2 n_t at each recorded update and the figures of the first and last inspection."""
    sound = [norms[None] for norms in log2_norms if np.isfinite(norms).all()]
    return Evidence(
        diverged=diverged,
        grown=float(np.mean([growth(norms, answers)[0] > GROWN for norms in sound])) if sound else 0.0,
        vanished=float(np.median([gradients.vanished(norms)[0] for norms in sound])) if sound else 0.0,
        first=float(np.median([norms[0, 0] - norms.max() for norms in sound])) * LOG10_2 if sound else 0.0,
        signal_to_noise=finite(last.get("gradient/signal_to_noise", np.nan)),
        radius=(first["weight/spectral_radius"], last["weight/spectral_radius"]),
        lyapunov=last["jacobian/lyapunov"],
        worse=worse,
    )


def growth(log2_norms: gradients.Norms, answers: int) -> gradients.PerReplica:
    """Return log10 of the largest n_t at or before the first answer, by that at it: 0 if the gradient only shrinks."""
    before = log2_norms[:, : log2_norms.shape[1] - answers + 1].astype(np.float64)
    grown: gradients.PerReplica = (before.max(axis=1) - before[:, -1]) * LOG10_2
    return grown


def majority(found: Sequence[str | None]) -> str | None:
    """Return the commonest signature; of two as common, the first in `SIGNATURES`; None if there is none."""
    counts = Counter(each for each in found if each is not None)
    return max(SIGNATURES, key=lambda each: counts[each]) if counts else None
