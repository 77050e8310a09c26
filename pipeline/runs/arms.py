"""The trainings of an explanation: one arm on some seeds, kept in a file of its own and never run twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.trees import as_json
from pipeline.cells.cell import TIED
from pipeline.data.held_out import HeldOut
from pipeline.explanation.arms import MEMORY, PLAIN, REGULARIZER, Change, change
from pipeline.learning.batches import steps_trained
from pipeline.learning.options import TrainingOptions
from pipeline.learning.recorder import Recorder, Watch
from pipeline.learning.regularizer import require_served
from pipeline.learning.replicas import TrainedReplicas, train_replicas
from pipeline.records.explanation import GradientMap, Training
from pipeline.records.reading import read_json
from pipeline.runs.evidence import gathered
from pipeline.settings import Settings
from pipeline.settings.tuned import with_values

INSPECTIONS = 8  # of a plain training
RECORDS = 40  # updates whose gradient a map shows
POINTS = 128  # steps through time that a map keeps
CLIP = 1.0  # where nothing is clipped, smaller steps come with this largest norm (Pascanu et al. 2013)
OTHER = 2**32  # added to training.seed for other sequences: far from the seeds of re-tunings


def left_out(settings: Settings, arm: str, length: int) -> str:
    """Return why an arm does not serve this pair; "" where it does."""
    if arm == MEMORY:
        own = settings.cell.memory(length)
        known = settings.parts["cell"]
        if not own:
            return "the cell has no such setting"
        same = all(known.get(name) in (value, TIED) for name, value in own.items())
        return f"it begins so already: {', '.join(f'{name} {known.get(name)}' for name in own)}" if same else ""
    if arm == REGULARIZER:
        try:
            require_served(settings.explain.regularizer, settings.cell)
        except UserError:
            return "it is defined for the tanh RNN alone"
        return "it is in use already" if settings.training.regularizer else ""
    rated = change(arm, settings.explain).rate == 1 or "lr" in settings.parts["optimizer"]
    return "" if rated else "the optimizer has no learning rate"


def changed(settings: Settings, what: Change, length: int) -> Settings:
    """Return the settings with one thing changed."""
    training, sections = settings.training, {}
    if what.rate != 1:
        given = settings.parts["optimizer"]
        sections["optimizer"] = {**given, "lr": given["lr"] * what.rate}
    if what.memory:
        sections["cell"] = dict(settings.cell.memory(length))
    clip = CLIP if what.clip != 1 and isinf(training.clip) else training.clip * what.clip
    weight = training.regularizer if what.regularizer is None else what.regularizer
    updates = training.updates * what.budget
    return with_values(settings, sections | {"training": {"updates": updates, "clip": clip, "regularizer": weight}})


@dataclass(frozen=True)
class Trainer:
    """Trains arms of one pair at one length.

    Each training is a pure function of the settings, the arm and the seed: replicas side by side have no say in each
    other, so each is kept by itself.
    """

    settings: Settings
    held_out: HeldOut
    length: int
    folder: Path  # where finished trainings are kept

    def __call__(self, arm: str, seeds: Sequence[int], watch: Watch) -> list[Training]:
        """Return a training for each seed: from its file, if it is there."""
        again = f"remove it, and `{self.settings.command('explain')}`"
        there = {} if self.settings.explain.fresh else {seed: self.path(arm, seed) for seed in seeds}
        kept = {seed: read_json(path, Training, again) for seed, path in there.items() if path.exists()}
        missing = [seed for seed in seeds if seed not in kept]
        if missing:
            kept |= dict(zip(missing, self.train(arm, missing, watch), strict=True))
            self.keep(arm, [kept[seed] for seed in missing])
        return [kept[seed] for seed in seeds]

    def path(self, arm: str, seed: int) -> Path:
        """Return the file of a training."""
        return self.folder / f"{arm}-{seed}.json"

    def keep(self, arm: str, done: Sequence[Training]) -> None:
        """Write trainings of one seed each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for each in done:
            path = self.path(arm, each.seeds[0])
            part = path.with_suffix(".part")
            part.write_text(json.dumps(as_json(each), allow_nan=False))
            part.replace(path)

    def cost(self, arm: str, seeds: int) -> int:
        """Return the most that a training of so many seeds may cost: replica x updates x length."""
        return seeds * self.settings.training.updates * change(arm, self.settings.explain).budget * self.length

    def train(self, arm: str, seeds: Sequence[int], watch: Watch) -> list[Training]:
        """Train an arm; the seeds side by side, each with an outcome of its own."""
        what = change(arm, self.settings.explain)
        settings = changed(self.settings, what, self.length)
        done = train_replicas(
            settings.task,
            settings.cell,
            settings.optimizer,
            replace(settings.training, **self.looked_at(arm)),
            self.length,
            seeds,
            self.held_out.sequences(self.length),
            watch,
            sequences_seed=settings.training.seed + OTHER if what.other_sequences else None,
        )
        return [_kept(arm, done, position, settings.training) for position in range(len(seeds))]

    def looked_at(self, arm: str) -> Mapping[str, Any]:
        """Return how often the gradient is looked at: of the plain training it is evidence, else hardly ever."""
        updates = self.settings.training.updates
        if arm != PLAIN:
            return {"record_every": updates, "inspect_every": None}
        return {"record_every": max(updates // RECORDS, 1), "inspect_every": max(updates // INSPECTIONS, 1)}


def _kept(arm: str, done: TrainedReplicas, position: int, options: TrainingOptions) -> Training:
    row, plain = done.outcomes[position], arm == PLAIN
    return Training(
        arm=arm,
        seeds=(row.replica,),
        updates=(row.updates_to_solve,),
        cost=steps_trained(options.seed, row.updates_run, options.shortest, done.length),
        diverged=(row.diverged,),
        evidence=(gathered(done.recorder, row, position),) if plain else (),
        maps=(gradient_map(done.recorder, row.replica, position),) if plain else (),
    )


def gradient_map(recorder: Recorder, seed: int, position: int) -> GradientMap:
    """Return the gradient through time of one replica at each recorded update, at `POINTS` steps at most."""
    records = [record for record in recorder.through_time if position in record.positions]
    parts = records[0].log2_norms
    time = next(iter(parts.values())).shape[1]
    steps = np.unique(np.linspace(0, time - 1, POINTS).round().astype(int))
    rows = [int(np.flatnonzero(record.positions == position)[0]) for record in records]
    sound = [
        (record, row)
        for record, row in zip(records, rows, strict=True)
        if all(np.isfinite(record.log2_norms[part][row]).all() for part in parts)
    ]
    return GradientMap(
        seed=seed,
        updates=tuple(record.update for record, _ in sound),
        steps=tuple(int(step) + 1 for step in steps),
        norms={
            part: tuple(
                tuple(round(float(value), 2) for value in record.log2_norms[part][row][steps]) for record, row in sound
            )
            for part in parts
        },
    )
