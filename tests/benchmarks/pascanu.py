"""The three trainings of Pascanu, Mikolov, Bengio 2013 at fixed lengths: updates until less than 1 % is wrong.

    python -m tests.benchmarks.pascanu [updates=40000] [replicas=3] basic_tanh:20 basic_tanh:30 smart_tanh:50

Temporal order, 50 tanh units, SGD .01, batch 20, as conf/experiment/pascanu_*.yaml. With it the sign of vanishing: SGD
and SGD-C are one trajectory, bit for bit, as long as the clip never fires. Rows are added to the JSON file.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline.learning.replicas import TrainedReplicas, train_replicas
from pipeline.runs.prepared import held_out_of
from tests.conftest import compose

EXPERIMENTS = {"SGD": "pascanu_sgd", "SGD-C": "pascanu_sgd_c", "SGD-CR": "pascanu_sgd_cr"}
ROWS = ("basic_tanh:20", "basic_tanh:30", "basic_tanh:50", "smart_tanh:50")
RESULT = Path("results/benchmarks/pascanu.json")


def run(experiment: str, init: str, length: int, updates: int, replicas: int) -> TrainedReplicas:
    """One training at one length."""
    settings = compose(f"+experiment={experiment}", f"cell.init={init}")
    options = replace(settings.training, updates=updates)
    parts = settings.task, settings.cell, settings.optimizer, options
    return train_replicas(*parts, length, range(replicas), held_out_of(settings).sequences(length))


def same_trajectory(one: TrainedReplicas, other: TrainedReplicas) -> list[bool]:
    """Which replicas went the same way bit for bit: the same scores at every check, and the same best weights."""
    scores = (a == b for a, b in zip(one.curves, other.curves, strict=True))
    weights = (torch.equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))
    return [a and b for a, b in zip(scores, weights, strict=True)]


def described(done: TrainedReplicas, seconds: float) -> dict[str, Any]:
    """What one training showed."""
    return {
        "updates_to_solve": [outcome.updates_to_solve for outcome in done.outcomes],
        "best_score": [outcome.best_score for outcome in done.outcomes],
        "diverged": sum(outcome.diverged for outcome in done.outcomes),
        "clipped": any(curve.get("gradient/clipped", 0.0) > 0 for curve in done.recorder.curves),
        "seconds": round(seconds),
    }


def row(init: str, length: int, updates: int, replicas: int) -> dict[str, Any]:
    """The three trainings at one length."""
    done, found = {}, {}
    for name, experiment in EXPERIMENTS.items():
        since = time.monotonic()
        done[name] = run(experiment, init, length, updates, replicas)
        found[name] = described(done[name], time.monotonic() - since)
        print(f"{init}, L = {length}, {name}: {found[name]}", flush=True)
    same = same_trajectory(done["SGD"], done["SGD-C"])
    print(f"{init}, L = {length}: SGD and SGD-C are the same trajectory for {sum(same)} of {replicas}", flush=True)
    return {"init": init, "length": length, "updates": updates, **found, "same_trajectory": same}


def main() -> None:
    """Print each row and add it to the file."""
    given = dict(each.split("=") for each in sys.argv[1:] if "=" in each)
    updates, replicas = int(given.get("updates", 40_000)), int(given.get("replicas", 3))
    for name in [each for each in sys.argv[1:] if ":" in each] or ROWS:
        init, length = name.split(":")
        rows = json.loads(RESULT.read_text()) if RESULT.exists() else []
        key = {"init": init, "length": int(length)}
        rows = [each for each in rows if not key.items() <= each.items()]
        rows.append(row(init, int(length), updates, replicas))
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(rows, allow_nan=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
