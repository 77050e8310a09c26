"""One trial of a search, in whatever process: from a length and a number to what its replicas showed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.horizon.trials import TrialResult, seeds, significant
from pipeline.learning.attempt import Attempt, attempt
from pipeline.learning.recorder import ThroughTime, Watch
from pipeline.settings import Settings
from pipeline.tasks.held_out import HeldOut

POINTS = 128  # steps through time that a trial's gradient profile keeps


@dataclass(frozen=True)
class Trial:
    """Trains the replicas of one trial. Can be pickled, where `watch` can."""

    settings: Settings
    held_out: HeldOut
    watch: Watch = lambda update, figures: None

    def __call__(self, length: int, ordinal: int) -> TrialResult:
        """Train at one length; a pure function of the settings, the length and the ordinal."""
        settings = self.settings
        training = replace(settings.training, length=length, replicas=settings.search.replicas)
        replicas = seeds(ordinal, training.replicas)
        parts = settings.task, settings.part("cell"), settings.part("optimizer")
        return _result(
            attempt(*parts, training, self.held_out.sequences(length), replicas, self.watch), length, training.updates
        )


def _result(done: Attempt, length: int, budget: int) -> TrialResult:
    rows = done.outcomes
    return TrialResult(
        length=length,
        solved=tuple(row.solved for row in rows),
        updates=tuple(row.updates_to_solve for row in rows),
        diverged=tuple(row.diverged for row in rows),
        best_score=tuple(np.inf if row.best_score is None else row.best_score for row in rows),
        budget=budget,
        cost=done.cost,
        extra={
            "updates_to_loose_goal": [row.updates_to_loose_goal for row in rows],
            "gradient": _gradient(list(done.recorder.latest.values())),
            "profiles": [
                _profile(record) for record in (done.recorder.through_time[0], done.recorder.through_time[-1])
            ],
            "curves": done.recorder.curves,
        },
    )


def _gradient(latest: list[Mapping[str, float]]) -> dict[str, float | None]:
    """The last gradient figures of a trial: medians over its replicas, of what is finite."""
    values = {name: [figures[name] for figures in latest if np.isfinite(figures[name])] for name in latest[0]}
    return {name: significant(float(np.median(found))) if found else None for name, found in values.items()}


def _profile(record: ThroughTime) -> dict[str, Any]:
    """log2 ‖∂L/∂h_t‖ over t at one update: median, least and greatest over the replicas, at `POINTS` steps at most."""
    norms = record.log2_norms["h"]
    steps = np.unique(np.linspace(0, norms.shape[1] - 1, POINTS).round().astype(int))
    band = {"median": np.median(norms, axis=0), "least": norms.min(axis=0), "greatest": norms.max(axis=0)}
    rounded = {name: [round(float(value), 3) for value in values[steps]] for name, values in band.items()}
    return {"update": record.update, "steps": [int(step) + 1 for step in steps], **rounded}
