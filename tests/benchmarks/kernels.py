"""The training core beside what one would use without it: every goal that is claimed for it, measured in one process.

`python -m tests.benchmarks.kernels [FILE] [--quick]` prints the tables and writes them as JSON. Times are CPU times of
one thread, medians over rounds in which the rivals take turns, so that a busy machine slows all alike. The default size
is 16 replicas of 64 units, a batch of 32, the adding problem; our side computes all norms through time, a loop over
torch.nn's modules has none.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels.scaling import FLOOR
from pipeline.kernels.unroll import passes, unroll
from pipeline.learning import model as models
from pipeline.learning.batches import AHEAD, Sequences, training_sequences
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.objective import objective
from pipeline.tasks.adding import Adding
from tests.benchmarks import kernels_rivals as rivals
from tests.kernels.oracle import CELLS, Weights, by_autograd, by_kernel, draw, make_cell, make_weights

REPLICAS, BATCH, HIDDEN = 16, 32, 64
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
TASK = Adding(goal=0.01, loose_goal=0.05)
SECONDS = 12.0  # that the rounds of one comparison may take
DEFAULT_FILE = "results/benchmarks/kernels.json"

Seconds = dict[str, float]
Given = tuple[Cell, Weights, Tensor, Tensor]  # weights, inputs, and a gradient of the last output


@dataclass(frozen=True)
class Claim:
    """One goal: what was measured for each cell, and the least (or, if not `at_least`, the most) that it may be."""

    what: str
    goal: Mapping[str, float]
    measured: Mapping[str, float]
    at_least: bool = True

    def holds(self, name: str) -> bool:
        return self.measured[name] >= self.goal[name] if self.at_least else self.measured[name] <= self.goal[name]


@dataclass
class Report:
    """All that was measured."""

    machine: dict[str, object] = field(default_factory=dict)
    end_to_end: list[dict[str, object]] = field(default_factory=list)
    passes: list[dict[str, object]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def claim(self, what: str, goal: float | list[float], measured: Mapping[str, float], at_least: bool = True) -> None:
        goals = goal if isinstance(goal, list) else [goal] * len(measured)
        self.claims.append(Claim(what, dict(zip(measured, goals, strict=True)), dict(measured), at_least))


def side_by_side(rounds: int, functions: Mapping[str, Callable[[], object]]) -> Seconds:
    """The median CPU time of each; every round calls each once."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    begin = time.monotonic()
    for done in range(rounds + 1):
        for name, function in functions.items():
            before = time.process_time()
            function()
            if done:  # the first round warms up
                times[name].append(time.process_time() - before)
        if done >= 3 and time.monotonic() - begin > SECONDS:
            break
    return {name: median(values) for name, values in times.items()}


def sgemm_rate() -> float:
    """Floating-point operations a second of torch.mm on one thread."""
    left, right, out = torch.rand(1024, 1024), torch.rand(1024, 1024), torch.empty(1024, 1024)
    return 2 * 1024**3 / side_by_side(9, {"mm": lambda: torch.mm(left, right, out=out)})["mm"]


# ---------------------------------------------------------------- whole updates


class Ours:
    """Training as the pipeline does it: data, forward, loss, backward, norms, clipping, Adam."""

    def __init__(self, name: str, kernel: str, length: int):
        self.cell, self.kernel, self.length = make_cell(name, HIDDEN), kernel, length
        rows, layout = models.begin(self.cell, TASK.channels, TASK.outputs, 0, range(REPLICAS))
        self.model = models.Model(self.cell, layout, rows.requires_grad_(), kernel, threads=1)
        self.optimizer = torch.optim.Adam([self.model.rows], lr=0.003)
        never = partial(sequences, length)  # drawn by `update` itself
        self.problem = Problem(never, never, objective(TASK.kind), TASK.answers)
        self.upstream = draw(REPLICAS, TASK.answers, BATCH, HIDDEN, dtype=torch.float32) / BATCH
        self.gradient = layout.views(torch.empty_like(rows))

    def update(self) -> None:
        """As many updates as a training draws sequences for at once."""
        for drawn in [sequences(self.length) for _ in range(AHEAD)]:
            one_update(self.model, self.optimizer, self.problem, drawn, 1.0)

    def passes(self) -> None:
        """The recurrent passes of such an update alone, with the same weights and inputs; of the fused kernel only."""
        weights, inputs = self.model.layout.views(self.model.rows.detach()), sequences_once(self.length).inputs
        norms = {name: torch.empty(inputs.shape[:2]) for name in self.cell.states}
        run = passes(self.cell, weights, inputs, TASK.answers, "fused", 1, norms, None)
        assert run is not None
        run.forward(keep=True)
        run.backward(self.upstream, self.gradient, norms)


def sequences(length: int, *_: object) -> Sequences:
    return training_sequences(TASK, 0, range(REPLICAS), 1, length, BATCH, "cpu")


@cache
def sequences_once(length: int) -> Sequences:
    return sequences(length)


def rival_update(rival: list[rivals.Rival], length: int) -> None:
    drawn = sequences(length)
    rivals.update_all(rival, drawn.inputs, drawn.targets)


def measure_updates(report: Report, length: int, rounds: int) -> dict[str, Seconds]:
    """For each cell the time of an update in each way, and of the recurrent passes within ours."""
    found = {}
    for name in CELLS:
        ours = Ours(name, "fused", length)
        functions: dict[str, Callable[[], object]] = {
            "fused": ours.update,
            "passes": ours.passes,
            "torch": Ours(name, "torch", length).update,
            "loop": partial(rival_update, rivals.loop(name, REPLICAS, TASK.channels, HIDDEN), length),
            "retained": partial(rival_update, rivals.retained(name, REPLICAS, TASK.channels, HIDDEN), length),
        }
        found[name] = side_by_side(rounds, functions)
        for way in ("fused", "torch"):
            found[name][way] /= AHEAD
        report.end_to_end.append({"cell": name, "length": length, **found[name]})
    return found


def claim_updates(report: Report, rounds: int) -> None:
    times = {length: measure_updates(report, length, rounds) for length in (100, 500)}
    for length, goal in ((500, [5.0, 4.0, 1.8]), (100, [4.5, 4.0, 1.5])):
        faster = {name: t["loop"] / t["fused"] for name, t in times[length].items()}
        report.claim(f"level 3 against the torch.nn loop, end to end, T={length}", goal, faster)
    for length in (100, 500):
        faster = {name: t["retained"] / t["fused"] for name, t in times[length].items()}
        report.claim(f"level 3 against cells with retained gradients, T={length}", [7.0, 4.5, 4.0], faster)
    for length in (100, 500):
        faster = {name: t["loop"] / t["torch"] for name, t in times[length].items()}
        report.claim(f"level 2 against the torch.nn loop, T={length}", [3.0, 2.0, 0.95], faster)
        faster = {name: t["retained"] / t["torch"] for name, t in times[length].items()}
        report.claim(f"level 2 against cells with retained gradients, T={length}", [4.0, 2.5, 2.3], faster)
    for length, goal in ((100, [0.15, 0.08, 0.08]), (500, [0.08, 0.04, 0.04])):
        outside = {name: 1 - t["passes"] / t["fused"] for name, t in times[length].items()}
        report.claim(f"share of an update outside the recurrence, T={length}", goal, outside, at_least=False)


# ---------------------------------------------------------------- the recurrent passes alone


def passes_of(name: str, hidden: int, length: int, replicas: int = REPLICAS) -> Given:
    """A cell with fresh weights, and what it is run on."""
    cell = make_cell(name, hidden)
    weights = make_weights(cell, replicas, TASK.channels, dtype=torch.float32)
    inputs = draw(replicas, length, BATCH, TASK.channels, dtype=torch.float32)
    return cell, weights, inputs, draw(replicas, 1, BATCH, hidden, dtype=torch.float32)


def run_passes(kernel: str, given: Given, norms: bool = True) -> None:
    """Forward and backward."""
    cell, weights, inputs, upstream = given
    filled = {name: torch.empty(inputs.shape[:2]) for name in cell.states} if norms else None
    outputs = unroll(cell, weights, inputs, upstream.shape[1], filled, kernel=kernel, threads=1)
    torch.autograd.grad((outputs * upstream).sum(), list(weights.values()))


def measure_passes(report: Report, hidden: int, rounds: int) -> dict[str, Seconds]:
    """For each cell the time of a forward and a backward pass at T=100 in each way."""
    found = {}
    for name in CELLS:
        given = passes_of(name, hidden, 100)
        _, _, inputs, upstream = given
        modules = rivals.loop(name, REPLICAS, TASK.channels, hidden)
        functions: dict[str, Callable[[], object]] = {
            "loop": partial(rivals.passes_all, modules, inputs, upstream),
            "fused": partial(run_passes, "fused", given),
            "torch": partial(run_passes, "torch", given),
        }
        found[name] = side_by_side(rounds, functions)
        operations = 3 * 2 * inputs[..., 0].numel() * hidden**2 * GATES[name]
        found[name]["operations"] = operations
        report.passes.append({"cell": name, "hidden": hidden, "length": 100, **found[name]})
    return found


def claim_passes(report: Report, rounds: int) -> None:
    before = sgemm_rate()
    times = {hidden: measure_passes(report, hidden, rounds) for hidden in (32, 64, 128)}
    rate = max(before, sgemm_rate())
    report.machine["sgemm"] = rate
    report.claim(
        "level 3 against the torch.nn loop, recurrent passes alone, H=32, T=100",
        [12.0, 10.0, 2.3],
        {name: t["loop"] / t["fused"] for name, t in times[32].items()},
    )
    for hidden, goal in ((32, 0.45), (64, 0.60), (128, 0.75)):
        share = {name: t["operations"] / t["fused"] / rate for name, t in times[hidden].items()}
        report.claim(f"share of the sgemm rate, H={hidden}", goal, share)


def claim_statistics(report: Report, rounds: int) -> None:
    """What the norms cost; here each way follows the other, so that both find the same things in the cache."""
    for kernel, most in (("fused", 1.03), ("torch", 1.15)):
        ratio = {}
        for name in CELLS:
            given = passes_of(name, HIDDEN, 100)
            ways = {str(norms): partial(run_passes, kernel, given, norms) for norms in (True, False)}
            times = side_by_side(3 * rounds, ways)
            ratio[name] = times["True"] / times["False"]
        report.claim(f"norms on against off, kernel {kernel}", most, ratio, at_least=False)


# ---------------------------------------------------------------- what is not a time


def claim_norms(report: Report) -> None:
    """Default init, T=500: norms in float32 against an unrolled loop under autograd in float64."""
    bad, error = {}, {}
    for name in CELLS:
        cell, single, inputs, upstream = passes_of(name, HIDDEN, 500, replicas=4)
        double = {key: weight.detach().double().requires_grad_() for key, weight in single.items()}
        truth = by_autograd(cell, double, inputs.double(), upstream.double()).norms
        norms = by_kernel("fused", cell, single, inputs, upstream).norms
        bad[name] = float(sum((~norm.isfinite() | (norm <= FLOOR)).sum() for norm in norms.values()))
        error[name] = max(float((norms[part] - truth[part]).abs().max()) for part in norms)
    report.claim("norms that are zero or not finite, T=500", 0, bad, at_least=False)
    report.claim("error of log2 norms against float64, T=500", 1e-3, error, at_least=False)


def claim_memory(report: Report) -> None:
    """Gigabytes over those at the start, at the peak of two updates' passes, T=2000; each in a process of its own."""
    used = {}
    for name in CELLS:
        command = [sys.executable, "-m", "tests.benchmarks.kernels_memory", name]
        used[name] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    report.claim("gigabytes at R=16, T=2000", [0.4, 1.5, 1.8], used, at_least=False)


def claim_bits(report: Report) -> None:
    """Numbers in which a replica differs between one and two threads, or alone and among others."""
    different = {}
    for name in CELLS:
        cell, weights, inputs, upstream = passes_of(name, 50, 60)
        alone = {key: weight.detach()[3:4].requires_grad_() for key, weight in weights.items()}
        one = by_kernel("fused", cell, alone, inputs[3:4], upstream[3:4], threads=1)
        many = by_kernel("fused", cell, weights, inputs, upstream, threads=2)
        pairs = [(one.outputs[0], many.outputs[3])]
        pairs += [(one.gradients[key][0], many.gradients[key][3]) for key in one.gradients]
        pairs += [(one.norms[key][0], many.norms[key][3]) for key in one.norms]
        different[name] = float(sum((first != second).sum() for first, second in pairs))
    report.claim("numbers that depend on other replicas or threads", 0, different, at_least=False)


def claim_fewer_replicas(report: Report, rounds: int) -> None:
    """The time of the passes with a quarter of the replicas, as a share of the time with all."""
    share = {}
    for name in CELLS:
        functions = {str(n): partial(run_passes, "fused", passes_of(name, HIDDEN, 100, n)) for n in (4, 16)}
        times = side_by_side(rounds, functions)
        share[name] = times["4"] / times["16"]
    report.claim("time with 4 of 16 replicas left", 0.35, share, at_least=False)


# ---------------------------------------------------------------- what is printed


def show(report: Report) -> None:
    print("\nMilliseconds an update, end to end, 16 replicas, H=64, batch 32, one thread")
    ways: tuple[str, ...] = ("fused", "torch", "loop", "retained")
    print(f"{'':18}" + "".join(f"{way:>22}" for way in ways))
    for row in report.end_to_end:
        _row(f"{row['cell']} T={row['length']}", row, ways)
    print("\nMilliseconds of the recurrent passes alone, T=100, and the share of the sgemm rate")
    ways = ("fused", "torch", "loop")
    print(f"{'':18}" + "".join(f"{way:>22}" for way in ways))
    for row in report.passes:
        _row(f"{row['cell']} H={row['hidden']}", row, ways, float(str(report.machine["sgemm"])))
    print(f"\n{'Goals':76}{'rnn':>16}{'gru':>16}{'lstm':>16}")
    for claim in report.claims:
        cells = "".join(f"{_cell(claim, name):>16}" for name in claim.measured)
        print(f"{claim.what:76}{cells}")


def _row(title: str, row: Mapping[str, object], ways: tuple[str, ...], rate: float | None = None) -> None:
    loop = float(str(row["loop"]))
    parts = []
    for way in ways:
        seconds = float(str(row[way]))
        part = f"{1e3 * seconds:.1f} ({loop / seconds:.1f}x"
        part += f", {float(str(row['operations'])) / seconds / rate:.0%})" if rate else ")"
        parts.append(f"{part:>22}")
    print(f"{title:18}" + "".join(parts))


def _cell(claim: Claim, name: str) -> str:
    sign = "" if claim.holds(name) else "! "
    return f"{sign}{claim.measured[name]:.3g} ({'>=' if claim.at_least else '<='}{claim.goal[name]:g})"


def run(quick: bool) -> Report:
    """Measure everything; `quick` takes three rounds of each."""
    torch.set_num_threads(1)
    rounds = 3 if quick else 9
    report = Report(machine={"torch": torch.__version__, "replicas": REPLICAS, "batch": BATCH, "hidden": HIDDEN})
    claim_passes(report, rounds)
    claim_statistics(report, rounds)
    claim_updates(report, rounds)
    claim_norms(report)
    claim_memory(report)
    claim_bits(report)
    claim_fewer_replicas(report, rounds)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE, type=Path)
    parser.add_argument("--quick", action="store_true", help="three rounds of each comparison")
    arguments = parser.parse_args()
    report = run(arguments.quick)
    show(report)
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(json.dumps(asdict(report), allow_nan=False, indent=1) + "\n")
    print(f"\nwritten to {arguments.file}")
