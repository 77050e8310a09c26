"""One training with all around it: its run in MLflow and its files."""

import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from pipeline import tracking
from pipeline.base.files import digest, replaced, write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import Display, display, duration
from pipeline.data.held_out import HeldOut
from pipeline.figures import style
from pipeline.figures.training import gradient_heat_map, learning_curves
from pipeline.kernels.unroll import served
from pipeline.learning.recorder import columns
from pipeline.learning.replicas import TrainedReplicas, scores, train_replicas
from pipeline.learning.signature import majority
from pipeline.records.wording import label
from pipeline.runs import weights
from pipeline.runs.prepared import ensure_prepared
from pipeline.settings import Settings
from pipeline.settings.tuned import tuned

WROTE = "digest.outcome"  # tag: by it the report finds the run that wrote its outcome.json


def train(settings: Settings) -> None:
    """Train one cell on one task at one length."""
    settings = tuned(settings)
    settings.require_runs()
    title = f"{settings.title} T={settings.training.length}"
    name = f"{settings.experiment or settings.names['cell']} · T={settings.training.length} · train"
    tags = {"stage": "train", **settings.tags}
    with (
        display(title) as shown,
        tracking.open_run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run,
    ):
        began = time.monotonic()
        held_out = ensure_prepared(settings)
        describe(run, settings, held_out)
        result = fit(settings, held_out, run, shown)
        with replaced(settings.results_of("train")) as folder:
            write(folder, settings, result, tested(settings, held_out, result))
            run.artifacts(folder)
        seconds = time.monotonic() - began
        show(run, settings, result, seconds)
        shown.summary(outline(settings, run, result, seconds))


def describe(run: tracking.Run, settings: Settings, held_out: HeldOut) -> None:
    """Tell the reviewer what this run is, from which settings and data."""
    task, training = settings.task, settings.training
    source, profile = f"data/{settings.names['task']}", f"{held_out.count} sequences, T={training.length}"
    run.params(settings.tree)
    run.dataset(settings.names["task"], held_out.digest(training.length), source, profile)
    run.note(
        f"### Does **{settings.names['cell']}** learn **{settings.names['task']}** at length {training.length}?\n\n"
        f"{training.replicas} replicas, at most {training.updates} updates. Solved: held-out error below {task.goal} "
        f"(chance {task.chance:.3g}). Curves are medians over the replicas that still train; `gradients.svg` shows "
        f"‖∂L/∂h‖ at every step over the course of training.\n\n- Data: `{source}`, by DVC\n"
        f"- Code: {tracking.code()}\n\n"
        f"The same again:\n\n```bash\n{settings.command('train')}\n```"
    )


def show(run: tracking.Run, settings: Settings, result: TrainedReplicas, seconds: float) -> None:
    """Tell the reviewer what came out, and store the weights as a model."""
    folder, count = settings.results_of("train"), len(result.outcomes)
    last = max(outcome.updates_run for outcome in result.outcomes)
    run.metrics(last, {"replicas/solved": solved(result), "train/seconds": seconds, "train/compute": result.cost})
    wrote = digest(folder / "outcome.json")
    run.tags({"solved": f"{solved(result)}/{count}", "duration": duration(seconds), WROTE: wrote})
    run.tags({"kernel": served(settings.cell)})
    if failing := majority([row.signature for row in result.outcomes]):
        run.tags({"signature": failing})
    about = weights.describe(settings, count)
    kind, shape = ("uint8", (-1, -1)) if about["symbols"] else ("float32", (-1, -1, about["channels"]))
    answered = ("float32", (-1, about["answers"], about["outputs"]))
    plain = {name: str(value) for name, value in about.items() if name != "settings"}
    with tempfile.TemporaryDirectory() as place:
        for name in (weights.WEIGHTS, weights.DESCRIPTION):
            shutil.copy(folder / name, place)
        scores = {"score/best": (last, best)} if (best := best_score(result)) is not None else {}
        run.model(settings.pair, Path(place), {"inputs": (kind, shape), "outputs": answered}, plain, scores)


def outline(settings: Settings, run: tracking.Run, result: TrainedReplicas, seconds: float) -> dict[str, str]:
    """What the command says at its end."""
    best = best_score(result)
    return {
        "solved": f"{solved(result)} of {len(result.outcomes)} replicas",
        "best score": "" if best is None else f"{best:.3g} (goal {settings.task.goal:g})",
        "time": duration(seconds),
        "kernel": served(settings.cell),
        "files": str(settings.results_of("train")),
        "MLflow": run.link(settings.address),
    }


def best_score(result: TrainedReplicas) -> float | None:
    """The best of all replicas, None where every one diverged."""
    return min((row.best_score for row in result.outcomes if row.best_score is not None), default=None)


def fit(settings: Settings, held_out: HeldOut, run: tracking.Run, shown: Display) -> TrainedReplicas:
    """One trial with progress on the display and curves in MLflow."""
    training = settings.training

    def watch(update: int, curve: Any) -> None:
        run.metrics(update, curve)
        shown.now(update / training.updates, f"update {update}, best score {curve.get('score/best', np.nan):.3g}")

    parts = settings.task, settings.cell, settings.optimizer
    seeds, sequences = range(training.replicas), held_out.sequences(training.length)
    return train_replicas(*parts, training, training.length, seeds, sequences, watch)


def tested(settings: Settings, held_out: HeldOut, result: TrainedReplicas) -> list[dict[str, Any]]:
    """How the best weights do at each of `training.test_lengths`, with the score of each replica."""
    task, cell, goal = settings.task, settings.cell, settings.task.goal
    found = []
    for length in settings.training.test_lengths:
        of_replicas = scores(task, cell, settings.training, result, held_out.sequences(length)).tolist()
        below = sum(score < goal for score in of_replicas)
        found.append({"length": length, "below_goal": below, "scores": [significant(s) for s in of_replicas]})
    return found


def write(folder: Path, settings: Settings, result: TrainedReplicas, tests: list[dict[str, Any]]) -> None:
    """Every out of the stage."""
    table = columns(result.recorder.through_time, [outcome.replica for outcome in result.outcomes])
    write_json(folder / "outcome.json", outcome(settings, result) | ({"tested": tests} if tests else {}))
    parquet.write_table(pyarrow.table(table), folder / "gradients.parquet", compression="zstd")
    weights.save(folder, settings, result)
    cell, task = (label(settings.names[group]) for group in ("cell", "task"))
    title = f"{cell} on {task}, T = {settings.training.length}"
    style.save(gradient_heat_map(table, title), folder / "gradients.svg")
    curves = learning_curves(result.recorder.curves, settings.task.goal, settings.task.chance, title)
    style.save(curves, folder / "curves.svg")


def outcome(settings: Settings, result: TrainedReplicas) -> dict[str, Any]:
    """The content of outcome.json."""
    latest = list(result.recorder.latest.values())
    return {
        "task": settings.names["task"],
        "cell": settings.names["cell"],
        "length": settings.training.length,
        "budget": settings.training.updates,
        "goal": settings.task.goal,
        "loose_goal": settings.task.loose_goal,
        "chance": settings.task.chance,
        "solved": solved(result),
        "compute": result.cost,
        "signature": majority([row.signature for row in result.outcomes]),
        "gradient": {name: mean([figures.get(name, np.nan) for figures in latest]) for name in latest[0]},
        "replicas": [asdict(row) for row in result.outcomes],
    }


def solved(result: TrainedReplicas) -> int:
    """How many replicas solved the task."""
    return sum(row.solved for row in result.outcomes)


def mean(values: list[float]) -> float | None:
    """The mean of what is finite, to six digits; None where nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    return significant(float(np.mean(finite))) if finite else None
