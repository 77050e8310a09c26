"""Passes made from a cell's own lines: beside those in torch and step by step, and beside the machine's peak.

`python -m tests.benchmarks.kernels_compiled [FILE] [--quick]` prints a table for every cell of conf/cell, and writes it
as JSON row by row: a run that was ended goes on where it stopped, `--anew` begins again. Times are CPU times of one
thread for a forward and a backward pass with norms, medians over rounds in which the rivals take turns, for 16 replicas
and a batch of 32. The peak is that of a bare loop of fused multiply-adds, which nothing but additions and products of
matrices could reach. Then the first update of a cell of one's own, with an empty cache of libraries and with a full
one, beside that of the RNN, each in a process of its own: wall seconds from the settings to the end of the update.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels import build, fused, stepwise
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.compile import Compiled, compiled
from pipeline.kernels.compiler.lower import lower
from pipeline.kernels.compiler.plan import plan
from pipeline.learning import model as models
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.objective import objective
from tests.benchmarks.kernels import BATCH, REPLICAS, TASK, sequences, sgemm_rate, side_by_side
from tests.conftest import compose, options
from tests.kernels.oracle import draw, make_weights

CHANNELS = 2
SIZES = ((32, 500), (32, 100), (64, 500), (64, 100), (128, 500), (128, 100))  # units, steps
QUICK = SIZES[:1]
OWN_CELL = "irnn"  # one of a user's lines, for the time to its first update
GOALS = {"one": 8.0, "several": 6.0}  # times stepwise, by the stages of products in a step
DEFAULT_FILE = "results/benchmarks/kernels_compiled.json"
PEAK = """
#include "simd.h"
extern "C" float peak(long n) {
    V<float> x[12], a = all<float>(0.999999f), b = all<float>(1e-6f);
    for (long i = 0; i < 12; i++) x[i] = all<float>(i);  // chains that differ, or one would serve for all
    for (long k = 0; k < n; k++) {
#pragma GCC unroll 12
        for (long i = 0; i < 12; i++) x[i] = x[i] * a + b;
    }
    for (long i = 1; i < 12; i++) x[0] += x[i];
    return sum<float>(x[0]);
}
extern "C" long operations() { return 2 * 12 * L<float>; }
"""

Given = tuple[Cell, dict[str, Tensor], Tensor, Tensor]


def fma_rate() -> float:
    """Return the floating-point operations a second of a bare loop of fused multiply-adds."""
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder) / "peak.cpp", Path(folder) / "peak.so"
        source.write_text(PEAK)
        command = [build._compiler(), *build.FLAGS, f"-I{build.NATIVE}", str(source), "-o", str(built)]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(built))
    library.peak.restype = ctypes.c_float
    turns = 4_000_000
    seconds = side_by_side(9, {"peak": lambda: library.peak(ctypes.c_long(turns))})["peak"]
    return float(library.operations() * turns / seconds)


def cell_of(name: str, hidden: int, length: int) -> Cell:
    """Return a cell of conf/cell."""
    made: Cell = compose(f"cell={name}", f"cell.hidden={hidden}").part("cell")
    return made.for_length(length)


def given(cell: Cell, length: int) -> Given:
    drawn = cell.materialise(make_weights(cell, REPLICAS, CHANNELS, dtype=torch.float32))
    weights = {name: weight.detach().requires_grad_() for name, weight in drawn.items()}
    inputs = draw(REPLICAS, length, BATCH, CHANNELS, dtype=torch.float32)
    return cell, weights, inputs, draw(REPLICAS, 1, BATCH, cell.widths[0], dtype=torch.float32)


def run(way: str, found: Compiled, what: Given) -> None:
    """Run one forward and one backward pass."""
    cell, weights, inputs, upstream = what
    norms = {name: torch.empty(inputs.shape[:2]) for name in cell.states}
    if way == "stepwise":
        outputs = stepwise.unroll(cell, weights, inputs, 1, norms, None, CHANNELS)
    elif way == "replayed":
        start = cell.start(weights, BATCH)
        outputs = replay.unroll(cell, *found.replayed(weights), inputs, CHANNELS, 1, norms, None, start)
    else:
        assert found.native is not None
        outputs = fused.unroll(cell, found.native, weights, inputs, CHANNELS, 1, norms, 1)
    torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), allow_unused=True)


def products(cell: Cell, what: Given) -> tuple[int, int]:
    """Return the multiplications and additions of products that read a state or what was made of one, and the stages.

    Those of a forward and a backward pass; a step of two stages multiplies what it made of its first products.
    """
    _, weights, inputs, _ = what
    shapes = {name: tuple(weight.shape[1:]) for name, weight in weights.items()}
    graph, _ = lower(cell, shapes, CHANNELS, torch.float32)
    made = plan(graph)
    multiplied = sum(
        made.sources[term.source].width.of(cell.hidden) * term.width.of(cell.hidden)
        for term in made.terms
        if made.sources[term.source].kind != "INPUT"
    )
    return 3 * 2 * inputs[..., 0].numel() * multiplied, made.stages


def measure(name: str, hidden: int, length: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of each way that serves the cell."""
    cell = cell_of(name, hidden, length)
    what = given(cell, length)
    found = compiled(cell, what[1], CHANNELS)
    row: dict[str, Any] = {"cell": name, "hidden": hidden, "length": length, "reason": found.reason}
    ways = ["generated"] * (found.native is not None)
    if ways:
        row |= side_by_side(rounds, {way: partial(run, way, found, what) for way in ways})
        row["operations"], row["stages"] = products(cell, what)
    others = [*ways, *["replayed"] * (found.graph is not None), "stepwise"]
    slower = side_by_side(min(rounds, 3), {way: partial(run, way, found, what) for way in others})
    return row | {f"beside {way}" if way in ways else way: seconds for way, seconds in slower.items()}


FIRST_UPDATE = """
import sys, time, torch
from tests.benchmarks.kernels_compiled import cell_of, first_update
cell = cell_of(sys.argv[1], 32, 20)
torch.set_num_threads(1)
before = time.perf_counter()
first_update(cell)
print(time.perf_counter() - before)
"""


def first_update(cell: Cell) -> None:
    """Run one update as a training does it."""
    rows, layout = models.begin(cell, TASK.channels, TASK.outputs, 0, range(REPLICAS))
    model = models.Model(cell, layout, rows.requires_grad_(), "fused", 1, TASK.channels)
    problem = Problem(lambda *_: sequences(20), lambda _: sequences(20), objective(TASK.kind), TASK.answers)
    one_update(model, torch.optim.Adam([model.rows], lr=0.003), problem, sequences(20), 1.0)


def starts() -> dict[str, dict[str, float]]:
    """Return the seconds to the first update, cold and warm, of the RNN and of a cell of one's own."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "XDG_CACHE_HOME": folder}
        for state in ("cold", "warm"):
            for name in ("rnn", OWN_CELL):
                command = [sys.executable, "-c", FIRST_UPDATE, name]
                said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
                found.setdefault(name, {})[state] = float(said)
    return found


def show(row: dict[str, Any], peak: float) -> None:
    text = f"{row['cell']:15} H={row['hidden']:<4} T={row['length']:<4}"
    if "generated" in row:
        seconds, goal = row["generated"], GOALS["one" if row["stages"] == 1 else "several"]
        faster = row["stepwise"] / row["beside generated"]
        text += f"{1e3 * seconds:8.1f} ms {row['operations'] / seconds / peak:5.0%} of peak"
        text += f"{faster:6.1f} x stepwise (goal {goal:.0f}{', missed' * (faster < goal)})"
    if "replayed" in row:
        text += f"; replayed {row['stepwise'] / row['replayed']:.1f} x stepwise"
    print(text + (f"; {row['reason']}" if row["reason"] else ""), flush=True)


def main(file: Path, quick: bool, anew: bool) -> None:
    torch.set_num_threads(1)
    report: dict[str, Any] = {"rows": []} if anew or not file.exists() else json.loads(file.read_text())
    file.parent.mkdir(parents=True, exist_ok=True)
    peak, sgemm = fma_rate(), sgemm_rate()
    report["machine"] = {"torch": torch.__version__, "fma": peak, "sgemm": sgemm}
    print(f"one core: {peak / 1e9:.1f} GFLOP/s by a bare loop of multiply-adds, sgemm {sgemm / 1e9:.1f}")
    done = {(row["cell"], row["hidden"], row["length"]): row for row in report["rows"]}
    for hidden, length in QUICK if quick else SIZES:
        for name in options("cell"):
            if (row := done.get((name, hidden, length))) is None:
                row = measure(name, hidden, length, 3 if quick else 9)
                report["rows"].append(row)
                file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")
            show(row, peak)
    report["starts"] = starts()
    for name, seconds in report["starts"].items():
        print(f"{name:15} to the first update: {seconds['cold']:.1f} s cold, {seconds['warm']:.2f} s warm")
    file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    parser.add_argument("--quick", action="store_true", help="one size, three rounds")
    parser.add_argument("--anew", action="store_true", help="measure again what the file has")
    arguments = parser.parse_args()
    main(arguments.file, arguments.quick, arguments.anew)
