"""One training with all around it: its run in MLflow and its files."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

from pipeline import tracking
from pipeline.base.files import digest, write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import duration, open_display
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.figures.training import draw_training
from pipeline.kernels.unroll import served
from pipeline.learning.recorder import columns
from pipeline.learning.replicas import TrainedReplicas, scores, train_replicas
from pipeline.learning.signature import majority
from pipeline.records.labels import title
from pipeline.records.outcome import OutcomeRecord, Tested
from pipeline.records.training import write_curves
from pipeline.runs import weights
from pipeline.runs.notes import note
from pipeline.runs.work import Work, open_work
from pipeline.settings import Settings
from pipeline.settings.tuned import tuned

WROTE = "digest.outcome"  # tag: by it the report finds the run that wrote its outcome.json


def train(settings: Settings) -> OutcomeRecord:
    """Train one cell on one task at one length."""
    settings = tuned(settings)
    length = f"T={settings.training.length}"
    with (
        open_display(f"{settings.title} {length}") as display,
        open_work("train", settings, display, detail=length) as work,
    ):
        log_question(work)
        done = fit(work)
        found = outcome(settings, done, tested(settings, work.held_out, done))
        display.progress(1.0, "draws the figures", left="")
        with work.results() as folder:
            write(folder, settings, done, found)
        log_answer(work, found)
        display.print_summary(outline(work, found))
    return found


def log_question(work: Work) -> None:
    """Log what this run is, and from which data."""
    settings, held_out, training = work.settings, work.held_out, work.settings.training
    work.log_data(held_out.digest(training.length), f"{held_out.count} sequences, T={training.length}")
    values = {"settings": settings, "training": training, "task": settings.task, "data": work.data}
    work.run.note(note("train", command=settings.command("train"), code=tracking.code(), **values))


def fit(work: Work) -> TrainedReplicas:
    """Train with progress on the display and curves in MLflow."""
    settings, training = work.settings, work.settings.training
    best = ""

    def watch(update: int, curve: Mapping[str, float]) -> None:
        nonlocal best
        work.run.metrics(update, curve)
        if "score/best" in curve:
            best = f", best score {curve['score/best']:.3g}"
        work.display.progress(update / training.updates, f"update {update}{best}")

    parts = settings.task, settings.cell, settings.optimizer
    work.display.doing(f"{training.replicas} replicas begin")
    seeds, sequences = range(training.replicas), work.held_out.sequences(training.length)
    return train_replicas(*parts, training, training.length, seeds, sequences, watch)


def tested(settings: Settings, held_out: HeldOut, done: TrainedReplicas) -> list[Tested]:
    """Return how the best weights do at each of `training.test_lengths`, with the score of each replica."""
    task, cell, goal = settings.task, settings.cell, settings.task.goal
    found = []
    for length in settings.training.test_lengths:
        of_replicas = scores(task, cell, settings.training, done, held_out.sequences(length)).tolist()
        below = sum(score < goal for score in of_replicas)
        found.append(Tested(length, below, tuple(significant(score) for score in of_replicas)))
    return found


def outcome(settings: Settings, done: TrainedReplicas, tests: Sequence[Tested] = ()) -> OutcomeRecord:
    """Return the content of outcome.json."""
    latest = list(done.recorder.latest.values())
    return OutcomeRecord(
        task=settings.names["task"],
        cell=settings.names["cell"],
        length=settings.training.length,
        budget=settings.training.updates,
        goal=settings.task.goal,
        loose_goal=settings.task.loose_goal,
        chance=settings.task.chance,
        solved=sum(row.solved for row in done.outcomes),
        compute=done.cost,
        signature=majority([row.signature for row in done.outcomes]),
        gradient={name: mean([figures.get(name, np.nan) for figures in latest]) for name in latest[0]},
        replicas=tuple(done.outcomes),
        tested=tuple(tests),
    )


def mean(values: list[float]) -> float | None:
    """Return the mean of the finite values, to six digits; None if there are none."""
    finite = [value for value in values if np.isfinite(value)]
    return significant(float(np.mean(finite))) if finite else None


def write(folder: Path, settings: Settings, done: TrainedReplicas, found: OutcomeRecord) -> None:
    """Write every out of the stage."""
    table = columns(done.recorder.through_time, [row.replica for row in found.replicas])
    write_json(folder / "outcome.json", as_json(found))
    parquet.write_table(pyarrow.table(table), folder / "gradients.parquet", compression="zstd")
    weights.save(folder, settings, done)
    write_curves(folder / "curves.csv", done.recorder.curves)
    draw_training(folder, table, done.recorder.curves, found, title(found.task, found.cell, settings.tree["cell"]))


def log_answer(work: Work, found: OutcomeRecord) -> None:
    """Log what came out, and store the weights as a model."""
    last = max(row.updates_run for row in found.replicas)
    work.run.metrics(last, {"replicas/solved": found.solved})
    work.run.metrics(0, {"train/seconds": work.seconds, "train/compute": found.compute})
    tags = {"solved": f"{found.solved}/{len(found.replicas)}", "duration": duration(work.seconds)}
    tags |= {WROTE: digest(work.folder / "outcome.json"), "kernel": served(work.settings.cell)}
    work.run.tags(tags | ({"signature": found.signature} if found.signature else {}))
    log_model(work, {} if found.best_score is None else {"score/best": (last, found.best_score)})


def log_model(work: Work, scores: tracking.Scores) -> None:
    """Store the weights that were written as a model of the run."""
    about = weights.describe(work.settings, work.settings.training.replicas)
    kind, shape = ("uint8", (-1, -1)) if about["symbols"] else ("float32", (-1, -1, about["channels"]))
    shapes = {"inputs": (kind, shape), "outputs": ("float32", (-1, about["answers"], about["outputs"]))}
    plain = {name: str(value) for name, value in about.items() if name != "settings"}
    with tempfile.TemporaryDirectory() as place:
        for name in (weights.WEIGHTS, weights.DESCRIPTION):
            shutil.copy(work.folder / name, place)
        work.run.model(work.settings.pair, Path(place), shapes, plain, scores)


def outline(work: Work, found: OutcomeRecord) -> dict[str, str]:
    """Return what the command prints at its end."""
    best = found.best_score
    return {
        "solved": f"{found.solved} of {len(found.replicas)} replicas",
        "best score": "" if best is None else f"{best:.3g} (goal {found.goal:g})",
        "time": duration(work.seconds),
        "kernel": served(work.settings.cell),
        "files": str(work.folder),
        "MLflow": work.run.link(work.settings.address),
    }
