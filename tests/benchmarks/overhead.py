"""What a training spends outside the recurrent passes, what MLflow costs a run, and what a second thread brings.

`python -m tests.benchmarks.overhead [FILE]` prints three tables and writes them as JSON, in a minute. Parts of an
update are CPU times of one thread, medians; threads and MLflow are wall times, which a busy machine spoils.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from mlflow import MlflowClient

from pipeline import train
from pipeline.data.held_out import draw
from pipeline.kernels.unroll import passes, unroll
from pipeline.learning import model as models
from pipeline.learning.batches import shared_sequences, training_sequences
from pipeline.learning.fit import Problem, evaluate, one_update
from pipeline.learning.objective import objective
from pipeline.learning.optimizer import clip
from pipeline.learning.recorder import Recorder
from pipeline.learning.scoreboard import Scoreboard
from pipeline.settings import Settings
from tests.benchmarks.kernels import passes_of
from tests.conftest import compose, run_stage

CELLS = ("rnn", "gru", "lstm")
TASKS = ("adding", "copy", "temporal_order")
SIZES = ((8, 32, 24), (8, 32, 100), (16, 64, 100))  # replicas, units, length: two of a search, and that of kernels.json
DEFAULT_FILE = "results/benchmarks/overhead.json"
LOST = 0.02  # the most that MLflow may take of a run while it trains


def milliseconds(
    function: Callable[[], object], rounds: int = 60, clock: Callable[[], float] = time.process_time
) -> float:
    """The median time of a call, after three that warm up."""
    times = []
    for _ in range(rounds + 3):
        before = clock()
        function()
        times.append(clock() - before)
    return 1e3 * median(times[3:])


# ---------------------------------------------------------------- an update, part by part


@dataclass
class Training:
    """A training as `fit` holds it, whose parts can be run one by one."""

    settings: Settings
    replicas: int

    def __post_init__(self) -> None:
        task, seeds = self.settings.task, range(self.replicas)
        self.rows, self.layout = models.begin(self.settings.cell, task.channels, task.outputs, 0, seeds)
        self.rows.requires_grad_()
        self.model = models.Model(self.settings.cell, self.layout, self.rows, "fused", threads=1)
        self.optimizer = self.settings.optimizer([self.rows])
        self.length, self.batch = self.settings.training.length, self.settings.training.batch
        held_out = draw(task, 0, self.length, self.settings.data.held_out)
        self.problem = Problem(
            draw=lambda running, update: self.sample(),
            held_out=lambda running: shared_sequences(held_out, running, "cpu"),
            objective=objective(task.kind),
            answers=task.answers,
        )
        self.drawn = self.sample()
        self.gradient = self.layout.views(torch.empty_like(self.rows.detach()))

    def sample(self) -> Any:
        return training_sequences(self.settings.task, 0, range(self.replicas), 1, self.length, self.batch, "cpu")

    def update(self) -> None:
        one_update(self.model, self.optimizer, self.problem, self.sample(), 1.0)

    def passes(self) -> None:
        """The recurrent passes of such an update alone."""
        cell, inputs, answers = self.model.cell, self.drawn.inputs, self.problem.answers
        norms = {name: torch.empty(inputs.shape[:2]) for name in cell.states}
        run = passes(cell, self.layout.views(self.rows.detach()), inputs, answers, "fused", 1, norms, None)
        assert run is not None
        run.backward(torch.ones_like(run.forward(keep=True)), self.gradient, norms)

    def draw_after_an_update(self) -> float:
        """Milliseconds of a draw between two updates, which finds other things in the caches than one after another."""
        times = []
        for _ in range(60):
            self.update()
            before = time.process_time()
            self.sample()
            times.append(time.process_time() - before)
        return 1e3 * median(times)

    def parts(self) -> dict[str, float]:
        """Milliseconds of an update in all, of each of its parts, and beside them of a draw between two updates.

        `rest`: readout, loss, checks, cold caches.
        """
        whole = milliseconds(self.update)
        self.rows.grad = torch.randn_like(self.rows)
        found = {
            "passes": milliseconds(self.passes),
            "sampling": milliseconds(self.sample),
            "optimizer": milliseconds(self.optimizer.step),
            "clipping": milliseconds(lambda: clip(self.rows.grad, 1.0)),
        }
        found["rest"] = whole - sum(found.values())
        found["cold draw"] = self.draw_after_an_update()
        probe = milliseconds(lambda: evaluate(self.model, self.problem), 10) / self.settings.training.probe_every
        return {"update": whole, **found, "bookkeeping": self.bookkeeping(), "probes": probe}

    def bookkeeping(self) -> float:
        """Recorder and scoreboard, on average over the updates that are kept and those that are not."""
        recorder = Recorder(self.settings.training.record_every, self.problem.answers, 1.0)
        board = Scoreboard(self.replicas, 0.0, 0.0)
        figures, finite = np.ones(self.replicas), np.ones(self.replicas, dtype=bool)
        norms = {name: np.zeros((self.replicas, self.drawn.inputs.shape[1])) for name in self.model.cell.states}

        def interval() -> None:
            for update in range(1, recorder.every + 1):
                recorder.update(update + 1, board.running, figures, figures, lambda: norms)
                board.finish_update(finite)

        return milliseconds(interval, 20) / recorder.every


def measure_updates() -> list[dict[str, Any]]:
    rows = []
    for replicas, hidden, length in SIZES:
        for task in TASKS if hidden == 32 else TASKS[:1]:
            for cell in CELLS:
                sizes = (f"task={task}", f"cell={cell}", f"cell.hidden={hidden}", f"training.length={length}")
                parts = Training(compose(*sizes), replicas).parts()
                rows.append(
                    {"task": task, "cell": cell, "replicas": replicas, "hidden": hidden, "length": length, **parts}
                )
    return rows


# ---------------------------------------------------------------- threads


def measure_threads() -> list[dict[str, Any]]:
    """Wall time of a forward and a backward pass, H=64, T=100, B=32: with one thread over with two."""
    rows = []
    for replicas in (4, 8, 16):
        for name in CELLS:
            cell, weights, inputs, upstream = passes_of(name, 64, 100, replicas)

            def run(threads: int, cell: Any = cell, weights: Any = weights, inputs: Any = inputs, up: Any = upstream):  # type: ignore[no-untyped-def]
                norms = {part: torch.empty(inputs.shape[:2]) for part in cell.states}
                states = unroll(cell, weights, inputs, 1, norms, kernel="fused", threads=threads)
                torch.autograd.grad(states, list(weights.values()), up)

            one, two = (milliseconds(partial(run, threads), 40, time.perf_counter) for threads in (1, 2))
            rows.append({"cell": name, "replicas": replicas, "one": one, "two": two, "gain": one / two})
    return rows


# ---------------------------------------------------------------- MLflow


def measure_mlflow(cell: str, folder: Path) -> dict[str, Any]:
    """Seconds in MLflow's client of a default `train`: its metrics on the way, and all else at its begin and end."""
    spent = {"metrics": 0.0, "begin and end": 0.0}
    originals = {
        name: getattr(MlflowClient, name)
        for name in ("__init__", "create_run", "log_batch", "log_inputs", "log_artifacts", "set_terminated")
    }

    def timed(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            before = time.perf_counter()
            try:
                return originals[name](*arguments, **named)
            finally:
                spent["metrics" if named.get("metrics") else "begin and end"] += time.perf_counter() - before

        return call

    paths = " ".join(f"paths.{name}={folder / name}" for name in ("data", "results", "state"))
    command = f"task=adding cell={cell} {paths}"
    run_stage(train.main, f"{command} training.updates=1")  # makes the data and the database
    for name in originals:
        setattr(MlflowClient, name, timed(name))
    try:
        before = time.perf_counter()
        ended = run_stage(train.main, command)
        whole = time.perf_counter() - before
    finally:
        for name, original in originals.items():
            setattr(MlflowClient, name, original)
    assert ended.status == 0, ended.err
    return {"cell": cell, "seconds": whole, **spent, "share": spent["metrics"] / whole, "goal": LOST}


# ---------------------------------------------------------------- what is printed


def show(report: Mapping[str, list[dict[str, Any]]]) -> None:
    titles = {
        "updates": "Milliseconds of an update and its parts, CPU time, one thread",
        "threads": "Milliseconds of the fused passes, wall time, one thread and two, H=64, T=100",
        "mlflow": "Seconds of a default train, wall time; share: MLflow's, of metrics while it trains",
    }
    for name, title in titles.items():
        rows = report[name]
        print(f"\n{title}\n" + "".join(f"{column:>15}" for column in rows[0]))
        for row in rows:
            cells = (f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
            print("".join(f"{cell:>15}" for cell in cells))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    file = parser.parse_args().file
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        mlflow = [measure_mlflow(cell, Path(folder)) for cell in CELLS]
    report = {"updates": measure_updates(), "threads": measure_threads(), "mlflow": mlflow}
    show(report)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")
    print(f"\nwritten to {file}")
