"""What a second thread brings, alone on the machine and beside busy loops.

`python -m tests.benchmarks.kernels_threads` prints wall milliseconds of an update: the passes of an LSTM of
32 units, forward and back with norms, and a pause in which one core works on, as the optimizer does. One thread and two
take turns with twenty updates each, medians over the rounds; then the same beside two processes that compute without
end. In the pause a helper looks for work for a tenth of a millisecond, then sleeps.
"""

import argparse
import subprocess
import sys
import time
from statistics import median

import torch

from pipeline.kernels.unroll import passes
from pipeline.learning.model import worthwhile
from tests.kernels.oracle import Weights, draw, make_cell, make_weights

REPLICAS, BATCH, HIDDEN, CHANNELS = 8, 32, 32, 2
LENGTHS = (1, 2, 4, 8, 32, 128)
PAUSE = 3e-4  # seconds between an update's passes and the next one's: optimizer, clipping, records
UPDATES = 20  # in a row
BUSY = "while True: pass"


class Update:
    """The passes of one update."""

    def __init__(self, length: int):
        self.cell = make_cell("lstm", HIDDEN)
        weights = make_weights(self.cell, REPLICAS, CHANNELS, dtype=torch.float32)
        self.weights: Weights = {name: weight.detach() for name, weight in weights.items()}
        self.inputs = draw(REPLICAS, length, BATCH, CHANNELS, dtype=torch.float32)
        self.upstream = draw(REPLICAS, 1, BATCH, HIDDEN, dtype=torch.float32)
        self.gradient = {name: torch.empty_like(weight) for name, weight in self.weights.items()}
        self.norms = {name: torch.empty(REPLICAS, length) for name in self.cell.states}

    def seconds(self, threads: int) -> float:
        """Wall seconds of an update: a pause in which this core works on, and the passes."""
        begin = time.perf_counter()
        for _ in range(UPDATES):
            end = time.perf_counter() + PAUSE
            while time.perf_counter() < end:
                pass
            run = passes(self.cell, self.weights, self.inputs, 1, "fused", threads, self.norms, None)
            assert run is not None
            run.forward(keep=True)
            run.backward(self.upstream, self.gradient, self.norms)
        return (time.perf_counter() - begin) / UPDATES


def compare(rounds: int) -> None:
    for length in LENGTHS:
        update = Update(length)
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for threads, found in times.items():
                found.append(update.seconds(threads))
        one, two = (1e3 * median(found) for found in times.values())
        many = sum(weight.numel() for weight in update.weights.values()) * length * BATCH / 1e6
        used = worthwhile(2, update.weights, update.inputs)
        print(
            f"T={length:<4} {many:6.1f} M multiplications: {one:7.2f} ms with one thread, {two:7.2f} with two, "
            f"{one / two:.2f} x; a training uses {used}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("as the machine is")
    compare(arguments.rounds)
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    try:
        print("beside two busy loops")
        compare(arguments.rounds)
    finally:
        for process in busy:
            process.kill()
