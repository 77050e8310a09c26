"""Runs the fused passes of many shapes, each array a block of memory of its own, for the address sanitizer to watch.

`all` of them, or a `few`: one type of numbers for each cell, for each has a library to be compiled.
"""

import sys
from collections.abc import Sequence
from itertools import product

import torch

from pipeline.kernels import build, fused
from pipeline.kernels.unroll import unroll
from pipeline.kernels.workspace import Trace, Workspace
from tests.kernels.oracle import CELLS, by_kernel, draw, make_cell, make_weights


class Apart(Workspace):
    """A workspace whose tensors do not lie in one block, so that a step beyond the end of one is seen."""

    def pointers(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        self.parts = [self.memory.new_empty(shape) for shape in shapes]
        return [part.data_ptr() for part in self.parts]


def lend(owner: object, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> Workspace:
    workspace = Apart(torch.empty(0, dtype=dtype, device=device))
    workspace.owner = owner
    return workspace


def run(name: str, hidden: int, batch: int, dtype: torch.dtype, tokens: bool) -> None:
    """Forward and backward, with a trace and without, and forward alone."""
    cell = make_cell(name, hidden)
    weights = make_weights(cell, 3, 4, dtype=dtype)
    inputs = torch.randint(0, 4, (3, 9, batch)) if tokens else draw(3, 9, batch, 4, dtype=dtype)
    by_kernel("fused", cell, weights, inputs, draw(3, 2, batch, hidden, dtype=dtype), threads=2)
    trace = Trace(*(torch.empty(3, 9, batch, hidden, dtype=dtype) for _ in range(2)))
    unroll(cell, weights, inputs, 2, None, trace, kernel="fused", threads=2).sum().backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        unroll(cell, weights, inputs, 2, kernel="fused", threads=2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert build.available()
    fused.lend = lend  # type: ignore[attr-defined]
    few, types = sys.argv[1] == "few", (torch.float32, torch.float64)
    for number, name in enumerate(CELLS):
        for hidden, batch in product((1, 8, 19, 33) if few else (1, 3, 8, 16, 19, 33), (1, 5, 32, 37)):
            for dtype, tokens in product(types[number % 2 :][:1] if few else types, (False, True)):
                run(name, hidden, batch, dtype, tokens)
    print("nothing found")
