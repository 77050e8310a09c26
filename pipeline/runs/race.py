"""Training for the choice of settings: replicas side by side, each with its own settings, on streams of their own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any

import yaml

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.data import streams
from pipeline.learning.optimizer import MakeOptimizer
from pipeline.learning.recipes import RATE, PerReplica, Recipe, require_proportional
from pipeline.learning.recorder import Watch, ignore_progress
from pipeline.learning.replicas import train_replicas
from pipeline.learning.scoreboard import Outcome
from pipeline.settings import CONF, Settings, build
from pipeline.tasks.task import Batch, Task, drawn_length
from pipeline.tuning.climbing import Entrant, RaceOutcome
from pipeline.tuning.space import Values


@dataclass
class Race:
    """Ends everyone once so many have solved; told at one check on held-out sequences, it acts at the next."""

    quorum: int | None
    watcher: Watch
    solved: int = 0

    def watch(self, update: int, figures: Mapping[str, float]) -> None:
        """Count who solved."""
        self.solved = int(figures.get("replicas/solved", self.solved))
        self.watcher(update, figures)

    def is_over(self, position: int, updates: Sequence[int], scores: Sequence[float]) -> bool:
        """Return True once the race is over."""
        return self.quorum is not None and self.solved >= self.quorum


@dataclass(frozen=True)
class Trainer:
    """Trains settings side by side at one length; a pure function of the plain settings and its arguments."""

    settings: Settings  # plain
    watch: Watch = ignore_progress

    def __call__(self, entrants: Sequence[Entrant], length: int, quorum: int | None) -> list[RaceOutcome]:
        """Return how each entrant ended."""
        settings, race = self.settings, Race(quorum, self.watch)
        recipes = [self.recipe(entrant.values) for entrant in entrants]
        # Clipping is the recipes'; the gradient through time is not looked at here, so it is recorded hardly ever.
        done = train_replicas(
            settings.task,
            settings.cell,
            lambda rows: PerReplica(rows[0], recipes),
            replace(settings.training, clip=inf, record_every=settings.training.updates),
            length,
            [entrant.seed for entrant in entrants],
            self.held_out(length),
            race.watch,
            race.is_over,
            [self.cell(entrant.values) for entrant in entrants],
        )
        return [raced(settings.task, length, outcome) for outcome in done.outcomes]

    def held_out(self, length: int) -> Batch:
        """Sequences by which only this choice is judged."""
        data, task = self.settings.data, self.settings.task
        random = streams.choice(data.seed, length)
        return task.sample(random, drawn_length(task, random, length), data.held_out)

    def cell(self, values: Mapping[str, Any]) -> Cell:
        """Return the cell with these settings, of which only the weights' beginning may differ from the plain one."""
        own = {name.removeprefix("cell."): value for name, value in values.items() if name.startswith("cell.")}
        cell: Cell = build({**self.settings.parts["cell"], **own}, "cell")
        return cell

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """Return how a replica with these settings is trained."""
        given = optimizer(self.settings, values)
        rate = float(given.pop("lr"))
        clip = float(values.get("training.clip", self.settings.training.clip))
        return Recipe(json.dumps(given, sort_keys=True), maker(given, 1.0), rate, clip)


def maker(given: Mapping[str, Any], rate: float) -> MakeOptimizer:
    """Return an optimizer with another learning rate."""
    make: MakeOptimizer = partial(build({**given, "lr": rate}, "optimizer"))
    return make


def optimizer(settings: Settings, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimizer's section with these settings; another optimizer than the plain one has its own file."""
    name = values.get("optimizer.name", settings.names["optimizer"])
    path = CONF / "optimizer" / f"{name}.yaml"
    if name != settings.names["optimizer"] and not path.exists():
        raise UserError(f"tune.space.optimizer.name names {name!r}, which is no file of conf/optimizer")
    given = settings.parts["optimizer"] if name == settings.names["optimizer"] else yaml.safe_load(path.read_text())
    own = {key.removeprefix("optimizer."): value for key, value in values.items() if key.startswith("optimizer.")}
    return {**given, **{key: value for key, value in own.items() if key != "name"}}


def check_space(settings: Settings, plain: Values, choices: Sequence[Values]) -> None:
    """Raise `UserError` where settings of the space can't be used: each of `choices` is tried."""
    trainer = Trainer(settings)
    for values in [plain, *choices]:
        trainer.cell(values)
        given = optimizer(settings, values)
        require_proportional(str(values["optimizer.name"]), maker(given, 1.0), maker(given, RATE))


def raced(task: Task, length: int, outcome: Outcome) -> RaceOutcome:
    """Return what a climb reads of an outcome."""
    reached = 0.0 if outcome.best_score is None else task.progress(max(outcome.best_score, task.goal))
    progress = round(min(max(reached, 0.0), 1.0), 4)
    return RaceOutcome(length, outcome.solved, outcome.updates_run, progress, length * outcome.updates_run)
