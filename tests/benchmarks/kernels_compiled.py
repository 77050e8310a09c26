"""Passes made from a cell's own lines: beside those in torch and step by step, and beside the machine's peak.

`python -m tests.benchmarks.kernels_compiled [FILE] [--quick]` prints a table for every cell of conf/cell and how many
goals are reached, and writes both as JSON row by row: a run that was ended goes on where it stopped, unless it is told
`--anew`. Times are processor times of one thread for a forward and a backward pass with norms, medians over rounds in
which the rivals take turns, for 16 replicas and a batch of 32. The peak is that of a bare loop of fused multiply-adds,
which nothing but additions and products of matrices could reach; it is measured again beside each row. A share below
its goal has its cause beside it: what the functions of a unit and step are, beside the multiplications of its products.

Then the first update of a cell of one's own, with an empty cache of libraries and with a full one, beside that of the
RNN, each in a process of its own: wall and processor seconds from the start of Python to the end of the update.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels import build, fused, stepwise
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.compile import Compiled, compiled
from pipeline.kernels.compiler.ir import POINTWISE, ordered
from pipeline.kernels.compiler.lower import lower
from pipeline.kernels.compiler.plan import plan
from pipeline.learning import model as models
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.objective import objective
from tests.benchmarks.kernels import BATCH, REPLICAS, TASK, sequences, sgemm_rate, side_by_side
from tests.benchmarks.kernels_table import OWN_CELL, RIVALS, claims, show
from tests.conftest import compose, options
from tests.kernels.oracle import draw, make_weights

CHANNELS = 2
SIZES = ((32, 500), (32, 100), (64, 100), (128, 100))  # units, steps
QUICK = SIZES[:1]
DEAR = ("sigmoid", "tanh", "exp", "expm1", "log", "log1p", "sin", "cos", "erf")
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
    library, turns = _peak(), 4_000_000
    seconds = side_by_side(9, {"peak": lambda: library.peak(ctypes.c_long(turns))})["peak"]
    return float(library.operations() * turns / seconds)


@cache
def _peak() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder) / "peak.cpp", Path(folder) / "peak.so"
        source.write_text(PEAK)
        command = [build._compiler(), *build.FLAGS, f"-I{build.NATIVE}", str(source), "-o", str(built)]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(built))
    library.peak.restype = ctypes.c_float
    return library


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


def work(cell: Cell, what: Given) -> dict[str, Any]:
    """Return what a step is made of, forward and back.

    `operations`: multiplications and additions of products that read a state or what was made of one, in all the pass;
    `stages` of such products in a step; `multiplications`, `functions` and `dear` ones (exp, log, ...): of a unit and
    step.
    """
    _, weights, inputs, _ = what
    shapes = {name: tuple(weight.shape[1:]) for name, weight in weights.items()}
    graph, _ = lower(cell, shapes, CHANNELS, torch.float32)
    made = plan(graph)
    multiplied = 3 * sum(
        made.sources[term.source].width.of(cell.hidden) * term.width.of(cell.hidden)
        for term in made.terms
        if made.sources[term.source].kind != "INPUT"
    )
    pointwise = [node for node in ordered(graph.roots()) if node.op in POINTWISE]
    return {
        "operations": 2 * inputs[..., 0].numel() * multiplied,
        "stages": made.stages,
        "multiplications": multiplied / cell.hidden,
        "functions": sum(node.width for node in pointwise) / cell.hidden,
        "dear": sum(node.width for node in pointwise if node.op in DEAR) / cell.hidden,
    }


def measure(name: str, hidden: int, length: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of each way that serves the cell."""
    cell = cell_of(name, hidden, length)
    what = given(cell, length)
    found = compiled(cell, what[1], CHANNELS)
    row: dict[str, Any] = {"cell": name, "hidden": hidden, "length": length, "reason": found.reason}
    ways = ["generated"] * (found.native is not None)
    if ways:
        library, turns = _peak(), 400_000
        beside: dict[str, Any] = {"peak": lambda: library.peak(ctypes.c_long(turns))}
        seconds = side_by_side(rounds, {"generated": partial(run, "generated", found, what), **beside})
        row |= {"generated": seconds["generated"], "peak": library.operations() * turns / seconds["peak"]}
        row |= work(cell, what)
    if hidden == RIVALS:
        others = [*ways, *["replayed"] * (found.graph is not None), "stepwise"]
        slower = side_by_side(min(rounds, 3), {way: partial(run, way, found, what) for way in others})
        row |= {f"beside {way}" if way in ways else way: seconds for way, seconds in slower.items()}
    return row


FIRST_UPDATE = """
import sys, torch
from tests.benchmarks.kernels_compiled import cell_of, first_update
torch.set_num_threads(1)
first_update(cell_of(sys.argv[1], 32, 20))
"""


def first_update(cell: Cell) -> None:
    """Run one update as a training does it."""
    rows, layout = models.begin(cell, TASK.channels, TASK.outputs, 0, range(REPLICAS))
    model = models.Model(cell, layout, rows.requires_grad_(), "fused", 1, TASK.channels)
    problem = Problem(lambda *_: sequences(20), lambda _: sequences(20), objective(TASK.kind), TASK.answers)
    one_update(model, torch.optim.Adam([model.rows], lr=0.003), problem, sequences(20), 1.0)


def starts() -> dict[str, dict[str, dict[str, float]]]:
    """Return the seconds to the first update, cold and warm, of the RNN and of a cell of one's own."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "XDG_CACHE_HOME": folder}
        for state in ("cold", "warm"):
            for name in ("rnn", OWN_CELL):
                begin, before = time.perf_counter(), processor_time()
                subprocess.run([sys.executable, "-c", FIRST_UPDATE, name], env=variables, check=True)
                took = {"wall": time.perf_counter() - begin, "processor": processor_time() - before}
                found.setdefault(name, {})[state] = took
    return found


def processor_time() -> float:
    """Return the processor seconds of all processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(file: Path, quick: bool, anew: bool) -> None:
    torch.set_num_threads(1)
    begun = file.exists() and not anew and not quick
    report: dict[str, Any] = json.loads(file.read_text()) if begun else {"rows": []}
    wanted = [(name, *size) for size in (QUICK if quick else SIZES) for name in options("cell")]
    done = {(row["cell"], row["hidden"], row["length"]) for row in report["rows"]}
    if done.issuperset(wanted):  # that run came to its end
        report, done = {"rows": []}, set()
    file.parent.mkdir(parents=True, exist_ok=True)
    peak, sgemm = fma_rate(), sgemm_rate()
    report["machine"] = {"torch": torch.__version__, "fma": peak, "sgemm": sgemm}
    print(f"one core: {peak / 1e9:.1f} GFLOP/s by a bare loop of multiply-adds, sgemm {sgemm / 1e9:.1f}")
    for name, hidden, length in wanted:
        if (name, hidden, length) not in done:
            report["rows"].append(measure(name, hidden, length, 3 if quick else 7))
            write(None if quick else file, report)
            print(f"{name} H={hidden} T={length}", flush=True)
    report["starts"] = starts()
    write(None if quick else file, report)
    show(report)


def write(file: Path | None, report: dict[str, Any]) -> None:
    """Add the goals and write the file, if any."""
    report["claims"] = claims(report["rows"])
    if file:
        file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    parser.add_argument("--quick", action="store_true", help="one size, three rounds; nothing is written")
    parser.add_argument("--anew", action="store_true", help="measure again what the file has")
    arguments = parser.parse_args()
    main(arguments.file, arguments.quick, arguments.anew)
