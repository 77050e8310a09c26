"""A choice of settings as files state it: tune.json, conf/tuned, retune.json, and horizon.json of a search with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.horizon.estimate import Searched

Values: TypeAlias = dict[str, Any]  # settings by their full names, {"optimizer.lr": 0.003}


@dataclass(frozen=True)
class RateCurve:
    """How many seeds solve one length at each of some learning rates, all else as chosen."""

    length: int
    seeds: int  # at each rate
    rates: tuple[float, ...]
    solved: tuple[int, ...]  # seeds

    def __post_init__(self) -> None:
        """Raise ValueError where a rate has no count of the seeds."""
        if len(self.rates) != len(self.solved) or not self.rates or max(self.solved) > self.seeds:
            raise ValueError("a curve has one count of at most all seeds for each rate")


@dataclass(frozen=True)
class MeasuredCurve(RateCurve):
    """The same with what it took."""

    cost: int  # replica x updates x length

    @property
    def alone(self) -> RateCurve:
        """The curve without what it took."""
        return RateCurve(self.length, self.seeds, self.rates, self.solved)


@dataclass(frozen=True)
class Place:
    """Settings that came into the last round, and how they did there."""

    values: Values
    plain: bool
    lengths: tuple[int, ...]  # that were tried
    solved: tuple[int, ...]  # seeds at each length
    seeds: int  # at each length
    cost: int  # replica x updates x length
    known: float | None  # its horizon in octaves, where a search had found it
    octaves: float  # log2 of its horizon

    @property
    def words(self) -> list[str]:
        """The settings as on a command line."""
        return flow(self.values)


@dataclass(frozen=True)
class RunnerUp:
    """The settings that came second."""

    octaves: float  # log2 of their horizon in the last round
    plain: bool
    values: tuple[str, ...]  # as on a command line


@dataclass(frozen=True)
class Provenance:
    """Where the settings in conf/tuned/TASK-CELL.yaml come from."""

    study: str  # of Optuna
    seed: int  # tune.seed
    settings: int  # tried, one seed each
    generations: int  # that the cost allowed
    cost: int  # of the choice: replica x updates x length
    searches: float  # the same, in searches with the plain settings
    curve_cost: int  # of the curve over the learning rate, beside the choice
    changed: bool  # whether the plain settings were beaten
    octaves: float  # log2 of its horizon in the last round
    runner_up: RunnerUp
    importance: Mapping[str, float]  # of each setting, a share; empty where it is not known
    plain: Searched  # the horizon with the plain settings
    curve: RateCurve


@dataclass(frozen=True)
class TuningRecord:
    """What a tuning found: tune.json."""

    task: str
    cell: str
    study: str
    seed: int
    settings: int
    generations: int
    cost: int
    searches: float
    budget: int  # updates that each replica was allowed
    chosen: Values
    changed: bool
    order: tuple[Place, ...]  # the chosen settings, then the runner-up, ...
    importance: Mapping[str, float]
    curve: MeasuredCurve
    plain: Searched
    plain_settings: Values

    @property
    def provenance(self) -> Provenance:
        """What conf/tuned states of it."""
        best, second, *_ = self.order
        return Provenance(
            study=self.study,
            seed=self.seed,
            settings=self.settings,
            generations=self.generations,
            cost=self.cost,
            searches=self.searches,
            curve_cost=self.curve.cost,
            changed=self.changed,
            octaves=best.octaves,
            runner_up=RunnerUp(second.octaves, second.plain, tuple(second.words)),
            importance=self.importance,
            plain=self.plain,
            curve=self.curve.alone,
        )


@dataclass(frozen=True)
class Tuned:
    """What horizon.json states of the choice of settings."""

    lr: float | None  # None where the optimizer has none
    optimizer: str  # its class
    plain: Searched  # the horizon with the plain settings
    curve: RateCurve
    cost: int  # of the choice: replica x updates x length
    searches: float  # the same, in searches with the plain settings
    study: str


@dataclass(frozen=True)
class Choice:
    """One choice of settings with another seed, and the horizon that it led to."""

    seed: int  # tune.seed
    study: str
    chosen: Values
    cost: int  # of the choice: replica x updates x length
    plain_searches: float  # the same, in searches with the plain settings
    tuned_searches: float  # the same, in searches with the chosen settings
    horizon: Searched


def flow(values: Mapping[str, Any]) -> list[str]:
    """Return settings as `name=value`, as on a command line."""
    return [f"{name}={value}" for name, value in values.items()]
