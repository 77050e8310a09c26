"""What the default job would take without this project: every half-octave length, one torch.nn module after the other.

    python -m tests.benchmarks.naive [FILE]

A user without a search trains some seeds at each length from `search.length_min` to `search.length_max`, in steps of
half an octave, and cannot know before where to stop. The time of an update of torch.nn's fused module (forward,
backward, clip, Adam; no gradients through time, no held-out checks) is measured here at three lengths, on one thread,
which is the faster way for such small modules, and is linear in the length. How many updates a replica takes until it
solves, or its budget, is what the searches in results/search saw at the length nearest to it, so a solved replica ends
here, too. Seeds: as many as a trial has.
"""

import csv
import json
import sys
import time
from itertools import product
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import yaml

from pipeline.horizon.ladder import ladder
from pipeline.settings import CONF
from tests.benchmarks.kernels_rivals import MODULES, Rival
from tests.conftest import compose

RESULT = Path("results/benchmarks/naive.json")
LENGTHS, ROUNDS = (16, 64, 256), 15


def seconds_an_update(cell: str, channels: int, hidden: int, batch: int) -> tuple[float, float]:
    """Seconds of an update at length 0, and for each step more; wall time."""
    taken = []
    for length in LENGTHS:
        rival = Rival(MODULES[cell](channels, hidden), hidden)
        inputs, targets = torch.rand(length, batch, channels), torch.rand(batch, 1)
        times = []
        for _ in range(ROUNDS):
            before = time.perf_counter()
            rival.update(inputs, targets)
            times.append(time.perf_counter() - before)
        taken.append(median(times))
    slope, start = np.polyfit(LENGTHS, taken, 1)
    return float(start), float(slope)


def updates_at(rows: list[dict[str, str]], length: int) -> float:
    """Updates of a replica, on average, in the trials at the length nearest to this one."""
    near = min(abs(log(int(row["length"]) / length)) for row in rows)
    mine = [row for row in rows if abs(log(int(row["length"]) / length)) == near]
    return float(np.mean([float(row["cost"]) / int(row["length"]) / int(row["replicas"]) for row in mine]))


def pair(task: str, cell: str) -> dict[str, Any]:
    """Minutes that one pair takes; milliseconds of an update at length 0, and for each step more."""
    settings = compose(f"task={task}", f"cell={cell}")
    search, hidden = settings.search, int(settings.tree["cell"]["hidden"])
    start, slope = seconds_an_update(cell, settings.task.channels, hidden, settings.training.batch)
    with (settings.results_of("search") / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    seconds = 0.0
    for length in ladder(search.length_min, search.length_max, 2):
        seconds += search.replicas * updates_at(rows, length) * (start + slope * settings.task.steps(length))
    return {"task": task, "cell": cell, "start_ms": 1e3 * start, "step_ms": 1e3 * slope, "minutes": seconds / 60}


def main() -> None:
    """Print each pair, and all together."""
    torch.set_num_threads(1)
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    found = [pair(task, cell) for task, cell in product(grid["tasks"], grid["cells"])]
    for row in found:
        print(f"{row['task']} {row['cell']}: {row['minutes']:.1f} min, {row['step_ms']:.4f} ms a step and update")
    total = sum(row["minutes"] for row in found)
    print(f"together {total:.0f} min on one core, {total / 2:.0f} min with a process on each of two")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULT
    path.write_text(json.dumps({"pairs": found, "minutes": total}, allow_nan=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
