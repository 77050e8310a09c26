"""One trial of a search, in whatever process: from a length and seeds to what its replicas showed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from socket import gethostname

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.numbers import finite
from pipeline.data.held_out import HeldOut
from pipeline.learning import gradients
from pipeline.learning.recorder import ThroughTime, Watch, ignore_progress
from pipeline.learning.replicas import TrainedReplicas, train_replicas
from pipeline.learning.scoreboard import Outcome
from pipeline.learning.signature import majority
from pipeline.settings import Settings
from pipeline.settings.fingerprint import fingerprint
from pipeline.study.record import WHEN, Profile, TrialResult

POINTS = 128  # steps through time that a trial's gradient profile keeps


@dataclass(frozen=True)
class Trial:
    """Trains the replicas of one trial. Can be pickled, where `watch` can: some kilobytes, without sequences."""

    settings: Settings
    held_out: HeldOut
    watch: Watch = ignore_progress
    code: str | None = None  # fingerprint of settings and code, where it may run on another machine

    def __call__(self, length: int, seeds: Sequence[int]) -> TrialResult:
        """Train a replica for each of `seeds`; a pure function of the settings and its arguments.

        Raises `UserError` where it was sent to a worker with other code.
        """
        if self.code and self.code != fingerprint(self.settings):
            raise UserError(
                f"the worker on {gethostname()} has other code than the search: install the same commit there"
            )
        return result(self.train(length, seeds), self.settings.training.updates)

    def train(self, length: int, seeds: Sequence[int]) -> TrainedReplicas:
        """Return all that training showed."""
        settings, sequences = self.settings, self.held_out.sequences(length)
        parts = settings.task, settings.cell, settings.optimizer
        options = replace(settings.training, inspect_every=None)
        return train_replicas(*parts, options, length, seeds, sequences, self.watch)


def result(done: TrainedReplicas, budget: int) -> TrialResult:
    """Return what a study keeps of a trial."""
    rows, shown = done.outcomes, done.recorder.through_time
    moments = dict(zip(WHEN, (shown[0], shown[-1]), strict=True))
    return TrialResult(
        length=done.length,
        replicas=len(rows),
        solved=sum(row.solved for row in rows),
        budget=budget,
        cost=float(done.cost),
        updates=tuple(row.updates_to_solve for row in rows),
        diverged=tuple(row.diverged for row in rows),
        best_score=tuple(None if row.best_score is None else finite(row.best_score) for row in rows),
        seeds=tuple(row.replica for row in rows),
        updates_to_loose_goal=tuple(row.updates_to_loose_goal for row in rows),
        figures=_gradient(list(done.recorder.latest.values())) | _plateau(rows),
        signature=majority([row.signature for row in rows]),
        profiles=tuple(map(_profile, moments.values())),
        curves=tuple(done.recorder.curves),
    )


def _gradient(latest: list[Mapping[str, float]]) -> dict[str, float | int | None]:
    """Return the last gradient figures of a trial: medians over its replicas, of what is finite."""
    every = [{name: value for name, value in figures.items() if np.isfinite(value)} for figures in latest]
    values = {name: [figures[name] for figures in every if name in figures] for name in latest[0]}
    return {name: finite(float(np.median(found))) if found else None for name, found in values.items()}


def _plateau(rows: Sequence[Outcome]) -> dict[str, float | int | None]:
    """Return the gradient's decay and reach at init and where replicas left the plateau of chance, as medians."""
    init = [row.decay_init for row in rows if row.decay_init is not None]
    left = [row.decay_exit for row in rows if row.decay_exit is not None]
    columns: dict[str, float | int | None] = {}
    for name, decays in (("init", init), ("exit", left)):
        decay = np.array([np.median(decays) if decays else np.nan])
        columns[f"decay_{name}"] = finite(float(decay[0]))
        columns[f"reach_{name}"] = finite(float(gradients.reach(decay)[0]))
    return columns | {"exited": sum(row.updates_to_exit is not None for row in rows)}


def _profile(record: ThroughTime) -> Profile:
    """Return log2 ‖∂L/∂h_t‖ over t at one update: median, least and greatest over the replicas, at `POINTS` steps."""
    norms = record.log2_norms["h"]
    steps = np.unique(np.linspace(0, norms.shape[1] - 1, POINTS).round().astype(int))
    band = {"median": np.median(norms, axis=0), "least": norms.min(axis=0), "greatest": norms.max(axis=0)}
    rounded = {name: tuple(round(float(value), 3) for value in values[steps]) for name, values in band.items()}
    return Profile(update=record.update, steps=tuple(int(step) + 1 for step in steps), **rounded)
