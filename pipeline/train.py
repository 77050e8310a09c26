"""Train replicas of one cell on one task at one length, and record the gradient on its way back through time.

    python -m pipeline.train task=temporal_order cell=rnn training.length=20 training.updates=200 training.replicas=4
    python -m pipeline.train -m cell=rnn,gru,lstm training.length=20,40,80

writes results/train/TASK-CELL/ (each job of a multirun: a folder below results/multirun/): outcome.json,
gradients.parquet, figures, weights; and an MLflow run.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet
from safetensors.torch import save_file

from pipeline import figures, tracking
from pipeline.files import replaced, write_json
from pipeline.learning.attempt import Attempt, attempt
from pipeline.learning.recorder import columns
from pipeline.prepare import ensure_prepared
from pipeline.progress import Display, display
from pipeline.settings import Settings, stage
from pipeline.tasks.held_out import HeldOut
from pipeline.tuned import tuned


@stage
def main(settings: Settings) -> None:
    """Train one cell on one task at one length."""
    settings = tuned(settings)
    title = f"{settings.pair} T={settings.training.length}"
    tags = {"stage": "train", "task": settings.names["task"], "cell": settings.names["cell"]}
    with (
        display(title) as shown,
        tracking.run(
            settings.tracking.enabled, settings.state, settings.names["task"], f"{title} · train", tags
        ) as run,
    ):
        held_out = ensure_prepared(settings)
        describe(run, settings, held_out)
        result = train(settings, held_out, run, shown)
        with replaced(settings.results_of("train")) as folder:
            write(folder, settings, result)
            run.artifacts(folder)
        run.metrics(settings.training.updates, {"replicas/solved": solved(result)})
        run.tags({"solved": f"{solved(result)}/{len(result.outcomes)}"})
        shown.say(f"{solved(result)} of {len(result.outcomes)} replicas solved; {settings.results_of('train')}")


def describe(run: tracking.Run, settings: Settings, held_out: HeldOut) -> None:
    """Tell the reviewer what this run is, from which settings and data."""
    task, training = settings.task, settings.training
    source, profile = f"data/{settings.names['task']}", f"{held_out.count} sequences, T={training.length}"
    run.params(settings.tree)
    run.dataset(settings.names["task"], held_out.digest(training.length), source, profile)
    run.note(
        f"**{settings.names['cell']}** on **{settings.names['task']}**, length {training.length}: {training.replicas} "
        f"replicas, at most {training.updates} updates. Solved: held-out error below {task.goal} (chance "
        f"{task.chance:.3g}). Curves are medians over the replicas that still train; the artifacts show "
        "‖∂L/∂h‖ at every step."
    )


def train(settings: Settings, held_out: HeldOut, run: tracking.Run, shown: Display) -> Attempt:
    """One trial with progress on the display and curves in MLflow."""
    training = settings.training

    def watch(update: int, curve: Any) -> None:
        run.metrics(update, curve)
        shown.now(update / training.updates, f"update {update}, best score {curve.get('score/best', np.nan):.3g}")

    sequences = held_out.sequences(training.length)
    replicas = range(training.replicas)
    return attempt(
        settings.task, settings.part("cell"), settings.part("optimizer"), training, sequences, replicas, watch
    )


def write(folder: Path, settings: Settings, result: Attempt) -> None:
    """Every out of the stage."""
    table = columns(result.recorder.through_time, [outcome.replica for outcome in result.outcomes])
    write_json(folder / "outcome.json", outcome(settings, result))
    parquet.write_table(pyarrow.table(table), folder / "gradients.parquet", compression="zstd")
    weights = {name: weight.contiguous() for name, weight in result.layout.views(result.weights).items()}
    save_file(weights, folder / "weights.safetensors")
    cell, task = (figures.label(settings.names[group]) for group in ("cell", "task"))
    title = f"{cell} on {task}, T = {settings.training.length}"
    figures.save(figures.gradient_heat_map(table, title), folder / "gradients.svg")
    curves = figures.learning_curves(result.recorder.curves, settings.task.goal, settings.task.chance, title)
    figures.save(curves, folder / "curves.svg")


def outcome(settings: Settings, result: Attempt) -> dict[str, Any]:
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
        "gradient": {name: mean([figures[name] for figures in latest]) for name in latest[0]},
        "replicas": [asdict(row) for row in result.outcomes],
    }


def solved(result: Attempt) -> int:
    """How many replicas solved the task."""
    return sum(row.solved for row in result.outcomes)


def mean(values: list[float]) -> float | None:
    """The mean of what is finite, to six digits; None where nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    return float(f"{np.mean(finite):.6g}") if finite else None


if __name__ == "__main__":
    main()
