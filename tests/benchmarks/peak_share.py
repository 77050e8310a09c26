"""How much of the machine's arithmetic the searches of the default grid use.

`python -m tests.benchmarks.peak_share [FILE] [--quick]` runs each search of conf/grid.yaml in a process of its own, as
`dvc repro` does, beside stores, held-out sequences and a cache of passes that are there already, and prints

    share = 2 x multiplications of the cells' matrix products / (wall seconds x cores x rate of one core)

beside the same with torch's own product of matrices as the rate; the rate of a core is that of a bare loop of fused
multiply-adds, measured before and after. A step of a sequence takes as many multiplications as the cell has numbers in
its matrices, three times: forward, back to the state, and for the gradient of the weights. What else a training does
(held-out sequences, functions of units, data, the optimizer, start of the process) counts as time alone.

The share is a product of two: of the arithmetic in the processor time that the search took, which other work on the
machine hardly changes, and of the processor time in the wall time of all cores, of which only an idle machine tells.
The file is written row by row, and a run that was ended goes on where it stopped; --quick runs one search with a tenth
of the updates.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from pipeline.learning.replicas import cores
from pipeline.settings import CONF
from tests.base.commands import COLD, ROOT
from tests.benchmarks.kernels import sgemm_rate
from tests.benchmarks.kernels_compiled import fma_rate, processor_time
from tests.conftest import compose
from tests.kernels.oracle import make_weights

DEFAULT_FILE = "results/benchmarks/peak_share.json"
QUICK = ("search.trials=4", "training.updates=200")


def multiplications(task: str, cell: str, compute: int) -> int:
    """Return those of `compute` = replicas x updates x length."""
    settings = compose(f"task={task}", f"cell={cell}")
    weights = make_weights(settings.cell.for_length(50), 1, settings.task.channels)
    matrices = sum(weight.numel() for weight in weights.values() if weight.dim() == 3)
    return 3 * matrices * settings.training.batch * compute


def search(task: str, cell: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Run one search with the published settings; its seconds and what it computed."""
    with tempfile.TemporaryDirectory() as folder:
        run("prepare", f"task={task}", *_paths(folder))
        run("train", f"task={task}", f"cell={cell}", "training.updates=1", *_paths(folder))  # makes stores and passes
        begin, before = time.perf_counter(), processor_time()
        run("search", f"task={task}", f"cell={cell}", *options, *_paths(folder))
        seconds, used = time.perf_counter() - begin, processor_time() - before
        record = json.loads((Path(folder) / f"results/search/{task}-{cell}/horizon.json").read_text())
    row = {"task": task, "cell": cell, "trials": record["trials"], "compute": record["compute"]}
    done = multiplications(task, cell, record["compute"])
    return row | {"seconds": seconds, "processor": used, "multiplications": done}


def run(command: str, *options: str) -> None:
    """Run a command of the pipeline."""
    line = [sys.executable, "-m", f"pipeline.{command}", *options]
    subprocess.run(line, cwd=ROOT, env=COLD, check=True, capture_output=True)


def _paths(folder: str) -> list[str]:
    """Return the overrides by which a search writes below the folder and reads the published choices of settings."""
    return [f"paths.{name}={folder}/{name}" for name in ("data", "results", "state")]


def shares(rows: list[dict[str, Any]], rates: dict[str, float]) -> str:
    seconds, used, done = (sum(row[name] for row in rows) for name in ("seconds", "processor", "multiplications"))
    found = {name: 2 * done / (seconds * cores() * rate) for name, rate in rates.items()}
    text = f"{seconds:6.0f} s, {found['fma']:.2f} of multiply-adds, {found['sgemm']:.2f} of sgemm"
    of_processor = f"{2 * done / used / rates['fma']:.2f} of multiply-adds in {used:.0f} s of processor time"
    return f"{text}; {of_processor}, {used / seconds / cores():.2f} of all"


def main(file: Path, quick: bool) -> None:
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    pairs = [(task, cell) for task in grid["tasks"] for cell in grid["cells"]][: 1 if quick else None]
    report: dict[str, Any] = json.loads(file.read_text()) if file.exists() and not quick else {"rows": []}
    if "after" in report:  # that run came to its end
        report = {"rows": []}
    rates = {"fma": fma_rate(), "sgemm": sgemm_rate()}
    done = {(row["task"], row["cell"]) for row in report["rows"]}
    for task, cell in pairs:
        if (task, cell) not in done:
            report["rows"].append(search(task, cell, QUICK if quick else ()))
            report |= {"cores": cores(), "before": rates}
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")
        row = next(row for row in report["rows"] if (row["task"], row["cell"]) == (task, cell))
        print(f"{task + ' ' + cell:25} {shares([row], rates)}", flush=True)
    after = {"fma": fma_rate(), "sgemm": sgemm_rate()}
    print(f"one of {cores()} cores: {rates['fma'] / 1e9:.0f} GFLOP/s, after it {after['fma'] / 1e9:.0f}")
    print(f"{'all':25} {shares(report['rows'], rates)}")
    file.write_text(json.dumps(report | {"after": after}, allow_nan=False, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    parser.add_argument("--quick", action="store_true", help="one search of a few trials")
    arguments = parser.parse_args()
    main(arguments.file, arguments.quick)
