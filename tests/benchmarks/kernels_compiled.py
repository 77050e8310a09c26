"""Passes made from a cell's own lines: beside those by hand, in torch and step by step, and beside the machine's peak.

`python -m tests.benchmarks.kernels_compiled [FILE] [--quick]` prints a table for every cell of conf/cell and each small
cell of tests/kernels, and writes it as JSON. Times are CPU times of one thread for a forward and a backward pass with
norms, medians over rounds in which the rivals take turns, for 16 replicas and a batch of 32. The peak is that of a bare
loop of fused multiply-adds, which nothing but additions and products of matrices could reach.
"""

import argparse
import ctypes
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels import build, fused, stepwise
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.compile import Compiled, compiled
from pipeline.kernels.compiler.lower import lower
from pipeline.kernels.compiler.plan import plan
from pipeline.kernels.program import BY_HAND
from tests.benchmarks.kernels import BATCH, REPLICAS, sgemm_rate, side_by_side
from tests.conftest import compose, options
from tests.kernels.oracle import draw, make_weights
from tests.kernels.small_cells import COMPILED

CHANNELS = 2
SIZES = ((32, 100), (32, 500), (64, 100), (64, 500), (128, 100), (128, 500))  # units, steps
DEFAULT_FILE = "results/benchmarks/kernels_compiled.json"
PEAK = """
#include "simd.h"
template <class T> inline V<T> chain(long n) {
    V<T> x[12], a = all<T>(T(0.999999)), b = all<T>(T(1e-6));
    for (auto& each : x) each = all<T>(T(1));
    for (long i = 0; i < n; i++)
#pragma GCC unroll 12
        for (auto& each : x) each = each * a + b;
    for (long i = 1; i < 12; i++) x[0] += x[i];
    return x[0];
}
extern "C" double peak(long n) { return chain<float>(n)[0]; }
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
    library.peak.restype = ctypes.c_double
    turns = 4_000_000
    seconds = side_by_side(9, {"peak": lambda: library.peak(ctypes.c_long(turns))})["peak"]
    return float(library.operations() * turns / seconds)


def cells(hidden: int) -> dict[str, Cell]:
    """Return every cell of conf/cell, and the small ones of the tests."""
    found = {name: compose(f"cell={name}", f"cell.hidden={hidden}").part("cell") for name in options("cell")}
    return found | {kind.__name__: kind(hidden, "torch") for kind in COMPILED}


def given(cell: Cell, length: int) -> Given:
    weights = make_weights(cell, REPLICAS, CHANNELS, dtype=torch.float32)
    inputs = draw(REPLICAS, length, BATCH, CHANNELS, dtype=torch.float32)
    return cell, weights, inputs, draw(REPLICAS, 1, BATCH, cell.hidden, dtype=torch.float32)


def run(way: str, found: Compiled, what: Given) -> None:
    """Run one forward and one backward pass."""
    cell, weights, inputs, upstream = what
    norms = {name: torch.empty(inputs.shape[:2]) for name in cell.states}
    if way == "stepwise":
        outputs = stepwise.unroll(cell, weights, inputs, 1, norms, None, CHANNELS)
    elif way == "replayed":
        outputs = replay.unroll(cell, *found.replayed(weights), inputs, CHANNELS, 1, norms, None)
    else:
        program = BY_HAND[type(cell)] if way == "by hand" else found.native
        assert program is not None
        outputs = fused.unroll(cell, program, weights, inputs, CHANNELS, 1, norms, 1)
    torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), allow_unused=True)


def operations(cell: Cell, what: Given) -> int:
    """Return the multiplications and additions of the matrix products that read a state or what was made of one."""
    _, weights, inputs, _ = what
    shapes = {name: tuple(weight.shape[1:]) for name, weight in weights.items()}
    graph, _ = lower(cell, shapes, CHANNELS, torch.float32)
    made = plan(graph)
    multiplied = sum(
        made.sources[term.source].width.of(cell.hidden) * term.width.of(cell.hidden)
        for term in made.terms
        if made.sources[term.source].kind != "INPUT"
    )
    return 3 * 2 * inputs[..., 0].numel() * multiplied


def measure(name: str, cell: Cell, length: int, rounds: int) -> dict[str, object]:
    """Return seconds of each way."""
    what = given(cell, length)
    found = compiled(cell, what[1], CHANNELS)
    ways: dict[str, Callable[[], object]] = {"generated": partial(run, "generated", found, what)}
    if type(cell) in BY_HAND:
        ways["by hand"] = partial(run, "by hand", found, what)
    seconds = side_by_side(rounds, ways)
    slow = {way: partial(run, way, found, what) for way in ("generated", "replayed", "stepwise")}
    slower = side_by_side(3, slow)
    row = {"cell": name, "hidden": cell.hidden, "length": length, "operations": operations(cell, what), **seconds}
    return (
        row
        | {"against stepwise": slower["stepwise"] / slower["generated"], "replayed": slower["replayed"]}
        | {"stepwise": slower["stepwise"]}
    )


def first_update(cell: Cell, cold: bool) -> float:
    """Return the wall seconds of a first pass in this process; cold with an empty cache of libraries."""
    what = given(cell, 10)
    before = time.perf_counter()
    found = compiled(cell, what[1], CHANNELS)
    if cold and found.native is not None:
        with tempfile.TemporaryDirectory() as folder:
            source = f'{found.native.source}\n#include "threads.h"\nEXPORT(Cell, float)\n'
            build._build(source, build._compiler(), Path(folder) / "cell.so")
    else:
        run("generated", found, what)
    return time.perf_counter() - before


def show(row: dict[str, object], peak: float) -> None:
    seconds = float(str(row["generated"]))
    share = float(str(row["operations"])) / seconds / peak
    hand = float(str(row["by hand"])) / seconds if "by hand" in row else float("nan")
    again = float(str(row["stepwise"])) / float(str(row["replayed"]))
    print(
        f"{row['cell']:14} H={row['hidden']:<4} T={row['length']:<4} {1e3 * seconds:8.1f} ms {share:6.0%} of peak"
        f"{hand:8.2f} of by hand{float(str(row['against stepwise'])):8.1f} x stepwise; replayed {again:.1f} x",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    parser.add_argument("--quick", action="store_true", help="one size, three rounds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    peak, sgemm = fma_rate(), sgemm_rate()
    print(f"peak {peak / 1e9:.1f} GFLOP/s by a bare loop, sgemm {sgemm / 1e9:.1f}")
    rows = []
    for hidden, length in SIZES[1:2] if arguments.quick else SIZES:
        for name, cell in cells(hidden).items():
            rows.append(measure(name, cell, length, 3 if arguments.quick else 9))
            show(rows[-1], peak)
    starts = {name: (first_update(cell, True), first_update(cell, False)) for name, cell in cells(32).items()}
    for name, (cold, warm) in starts.items():
        print(f"{name:14} from its lines to the first pass: {cold:.1f} s to compile, {warm:.2f} s warm")
    report = {"machine": {"torch": torch.__version__, "fma": peak, "sgemm": sgemm}, "rows": rows, "starts": starts}
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(json.dumps(report, allow_nan=False, indent=1) + "\n")
