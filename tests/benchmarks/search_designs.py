"""Ways to choose the next length: ours, grids, bisection, Optuna's own samplers. All stop by the same rule.

A design is a generator: it yields a length and is sent the trials so far with their posterior.
"""

import warnings
from collections.abc import Callable, Generator, Sequence
from math import log2
from typing import TypeAlias

import optuna
from optuna.samplers import BaseSampler

from pipeline.horizon.asking import next_length
from pipeline.horizon.ladder import ladder
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Observation, Posterior

Sent: TypeAlias = tuple[Sequence[Observation], Posterior]
Asking: TypeAlias = Generator[int, Sent, None]
Design: TypeAlias = Callable[[SearchOptions, int], Asking]  # options, seed


def ours(options: SearchOptions, seed: int) -> Asking:
    """Ask as HorizonSampler does."""
    seen, found = yield options.length_min
    while True:
        seen, found = yield next_length(seen, found, options)


def full_grid(options: SearchOptions, seed: int) -> Asking:
    """Go through half-octave steps from end to end, again and again."""
    while True:
        for length in ladder(options.length_min, options.length_max, per_octave=2):
            yield length


def ascending(per_octave: int, failing: float, patience: int) -> Design:
    """Climb a grid until `patience` lengths on end are solved by less than a share, again and again."""

    def climb(options: SearchOptions, seed: int) -> Asking:
        while True:
            failed = 0
            for length in ladder(options.length_min, options.length_max, per_octave):
                seen, _ = yield length
                failed = failed + 1 if seen[-1].solved < failing * seen[-1].replicas else 0
                if failed == patience:
                    break

    return climb


def bisection(options: SearchOptions, seed: int) -> Asking:
    """Double until less than half of the replicas solve, then halve the bracket until it is a ladder step; again."""
    while True:
        low, high = options.length_min, options.length_min
        while True:
            seen, _ = yield high
            if 2 * seen[-1].solved < seen[-1].replicas or high == options.length_max:
                break
            low, high = high, min(2 * high, options.length_max)
        while log2(high / low) > 1 / options.per_octave:
            middle = round((low * high) ** 0.5)
            seen, _ = yield middle
            low, high = (low, middle) if 2 * seen[-1].solved < seen[-1].replicas else (middle, high)
            if high - low <= 1:
                break


def optimizer(make: Callable[[int], BaseSampler]) -> Design:
    """Let a sampler of Optuna minimize |share solved - 1/2|."""

    def minimize(options: SearchOptions, seed: int) -> Asking:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(sampler=make(seed))
            while True:
                trial = study.ask()
                seen, _ = yield trial.suggest_int("length", options.length_min, options.length_max, log=True)
                study.tell(trial, abs(seen[-1].solved / seen[-1].replicas - 0.5))

    return minimize


tpe = optimizer(lambda seed: optuna.samplers.TPESampler(seed=seed))
gaussian_process = optimizer(lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=False))
