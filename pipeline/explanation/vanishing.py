"""Whether the gradient of a seed vanishes, and what is shown of some seeds beside a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.explanation.evidence import Evidence, Numbers

EARLY = 0.25  # share of steps: as for gradient/signal_to_noise, and where the default tasks put what is to be kept
NOISE = 2.0  # a signal-to-noise ratio below it may be noise alone, which gives about 1
FAINT = -2.0  # log10: a hundredth of the largest norm is less than what a batch of 32 leaves the other steps in noise


def early_steps_lost(vanished: float, first: float, signal_to_noise: float | None) -> bool:
    """Return whether the early steps have no say in an update.

    A quarter of the steps gets next to nothing (`vanished`: below 1e-4 of the largest norm); or a hundredth of the
    largest norm or less reaches the `first` step, and the early steps' part of dL/dW is no more than noise.
    """
    noise = signal_to_noise is not None and signal_to_noise < NOISE
    return vanished >= EARLY or (first <= FAINT and noise)


def vanishes(found: Evidence) -> bool:
    """Return whether the gradient of a seed vanishes; one that explodes does not."""
    return not found.exploded and early_steps_lost(found.vanished, found.first, found.signal_to_noise)


@dataclass(frozen=True)
class Summary:
    """The medians over some seeds that are shown beside a verdict; None where there are none."""

    seeds: int
    decay: Numbers  # of each part, at the last update at which it was stuck
    decay_init: Numbers
    vanished: float | None
    first: float | None  # log10
    signal_to_noise: float | None
    clipped: float | None
    lyapunov: float | None
    vanishing: int  # seeds whose early steps have no say
    exploding: int  # seeds whose gradient explodes


def summary(found: Sequence[Evidence]) -> Summary:
    """Return the medians over seeds."""
    parts = found[0].end.decay if found else {}
    return Summary(
        seeds=len(found),
        decay={part: middle([each.end.decay[part] for each in found]) for part in parts},
        decay_init={part: middle([each.init.decay[part] for each in found]) for part in parts},
        vanished=middle([each.vanished for each in found]),
        first=middle([each.first for each in found]),
        signal_to_noise=middle([each.signal_to_noise for each in found]),
        clipped=middle([each.clipped for each in found]),
        lyapunov=middle([each.end.lyapunov for each in found]),
        vanishing=sum(vanishes(each) for each in found),
        exploding=sum(each.exploded for each in found),
    )


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return float(f"{median(known):.4g}") if known else None
