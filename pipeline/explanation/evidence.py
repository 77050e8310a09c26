"""What the gradient of one seed showed in its plain training, as long as the seed was stuck.

A seed that fails is stuck to its last update; one that solves, until it leaves its plateau: to the first probe that is
clearly better than chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Numbers = Mapping[str, float | None]  # by the part of the state


@dataclass(frozen=True)
class Moment:
    """The figures of one update."""

    update: int
    decay: Numbers  # gradient/decay of each part
    vanished: Numbers  # gradient/vanished of each part
    first: Numbers  # log10 of the norm at the first step by the largest, of each part
    signal_to_noise: float | None  # of the early steps' part of dL/dW
    lyapunov: float | None  # the largest exponent
    radius: float | None  # weight/spectral_radius


@dataclass(frozen=True)
class Evidence:
    """The figures of one seed."""

    init: Moment
    end: Moment
    signal_to_noise: float | None  # median over the inspections
    vanished: float  # median over its recorded updates, of the part of the state that keeps the gradient longest
    first: float  # the same of log10 of the norm at the first step by the largest
    grown: float  # share of its recorded updates in which the gradient grew tenfold on its way back
    clipped: float  # share of all updates that were clipped
    exploded: bool  # diverged, or grew so often that the recurrence bears it out; see learning.signature
