"""Prints how many gigabytes the passes of 16 replicas through 2000 steps add to this process at its peak."""

import sys
from pathlib import Path

import torch

from pipeline.kernels.build import available
from tests.kernels.oracle import by_kernel, draw, make_cell, make_weights

REPLICAS, TIME, BATCH, HIDDEN = 16, 2000, 32, 64


def peak() -> float:
    """The largest memory of this process so far, in gigabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert available()
    cell = make_cell(sys.argv[1], HIDDEN)
    weights = make_weights(cell, REPLICAS, 2, dtype=torch.float32)
    inputs = torch.rand(REPLICAS, TIME, BATCH, 2)
    upstream = draw(REPLICAS, 1, BATCH, HIDDEN, dtype=torch.float32)
    before = peak()
    for _ in range(2):
        by_kernel("fused", cell, weights, inputs, upstream, threads=1)
    print(peak() - before)
