"""Ways to choose the next length: ours, grids, bisection, Optuna's own samplers. All stop by the same rule.

A design's `ask` is a generator: it yields a length with what it is for, and is sent the trials so far and their
posterior. A design that works in passes is run to the end of each before the stop rule is looked at, as a grid is.
"""

import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import log2
from typing import TypeAlias

import optuna
from optuna.samplers import BaseSampler, GPSampler, TPESampler

from pipeline.horizon.acquisition import Question, next_question
from pipeline.horizon.findings import Findings
from pipeline.horizon.ladder import ladder
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior

Sent: TypeAlias = tuple[Sequence[Observation], Posterior]
Asking: TypeAlias = Generator[Question, Sent, None]

PASS_ENDS = Question(0, "", 0)


@dataclass(frozen=True)
class Design:
    """A named way to choose lengths."""

    name: str
    ask: Callable[[SearchOptions, int], Asking]  # options, seed
    in_passes: bool = False


def ask_ours(options: SearchOptions, seed: int) -> Asking:
    """Ask as HorizonSampler does."""
    seen, found = yield Question(options.length_min, "t50", options.replicas)
    while True:
        seen, found = yield next_question(Findings(seen, options, found))


def ask_full_grid(options: SearchOptions, seed: int) -> Asking:
    """Go through half-octave steps from end to end, again and again."""
    while True:
        for length in ladder(options.length_min, options.length_max, per_octave=2):
            _ = yield Question(length, "t50", options.replicas)
        yield PASS_ENDS


def ascending(per_octave: int) -> Design:
    """Return the grid that climbs until two lengths on end are solved by less than half, again and again."""

    def climb(options: SearchOptions, seed: int) -> Asking:
        while True:
            failed = 0
            for length in ladder(options.length_min, options.length_max, per_octave):
                seen, _ = yield Question(length, "t50", options.replicas)
                failed = failed + 1 if 2 * seen[-1].solved < seen[-1].replicas else 0
                if failed == 2:
                    break
            yield PASS_ENDS

    return Design(f"ascending grid, {per_octave} an octave", climb, in_passes=True)


def ask_bisection(options: SearchOptions, seed: int) -> Asking:
    """Double until less than half of the replicas solve, then halve the bracket until it is a ladder step; again."""
    while True:
        low, high = options.length_min, options.length_min
        while high < options.length_max:
            seen, _ = yield Question(high, "t50", options.replicas)
            if 2 * seen[-1].solved < seen[-1].replicas:
                break
            low, high = high, min(2 * high, options.length_max)
        while log2(high / low) > 1 / options.per_octave and high - low > 1:
            middle = round((low * high) ** 0.5)
            seen, _ = yield Question(middle, "t50", options.replicas)
            low, high = (low, middle) if 2 * seen[-1].solved < seen[-1].replicas else (middle, high)
        yield PASS_ENDS


def optimizer(name: str, make: Callable[[int], BaseSampler]) -> Design:
    """Return a design that lets a sampler of Optuna minimize |share solved - 1/2|."""

    def minimize(options: SearchOptions, seed: int) -> Asking:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(sampler=make(seed))
        while True:
            trial = study.ask()
            length = trial.suggest_int("length", options.length_min, options.length_max, log=True)
            seen, _ = yield Question(length, "t50", options.replicas)
            study.tell(trial, abs(seen[-1].solved / seen[-1].replicas - 0.5))

    return Design(name, minimize)


def gaussian_process(seed: int) -> BaseSampler:
    """Return Optuna's GP sampler without its notice that it is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GPSampler(seed=seed)


OURS = Design("ours", ask_ours)
FULL_GRID = Design("full half-octave grid", ask_full_grid, in_passes=True)
ASCENDING = tuple(ascending(per_octave) for per_octave in (2, 4))
BISECTION = Design("doubling and bisection", ask_bisection)
TPE = optimizer("Optuna TPESampler", lambda seed: TPESampler(seed=seed))
GP = optimizer("Optuna GPSampler", gaussian_process)
