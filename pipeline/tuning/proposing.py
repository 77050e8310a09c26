"""Asking an Optuna sampler for the next settings of a space."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from pipeline.tuning.space import Choices, Range, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space as Optuna knows it."""
    return {name: distribution(span) for name, span in space.items()}


def distribution(span: Choices | Range) -> BaseDistribution:
    """Return what one setting may be, as Optuna knows it."""
    if isinstance(span, Choices):
        return CategoricalDistribution(span.values)
    return FloatDistribution(span.low, span.high, log=span.log)


def propose(space: Space, sampler: BaseSampler, seen: Sequence[FrozenTrial], count: int) -> list[dict[str, Any]]:
    """Return the next `count` settings: a pure function of a fresh sampler and the trials that it may see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(list(seen))
        return [study.ask(distributions(space)).params for _ in range(count)]
