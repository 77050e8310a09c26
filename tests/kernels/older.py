"""Compares the fused passes with a loop of steps in double precision, for processors of older kinds."""

import torch

from pipeline.kernels import build
from tests.kernels.oracle import CELLS, by_kernel, draw, make_cell, make_weights

SHAPES = ((1, 1), (3, 37), (8, 5), (19, 32), (33, 1))  # hidden, batch


def check(name: str, hidden: int, batch: int, dtype: torch.dtype) -> None:
    """Raise `AssertionError` where outputs, gradients or norms differ by more than rounding."""
    cell = make_cell(name, hidden)
    truth = make_weights(cell, 3, 4)
    weights = {key: weight.detach().to(dtype).requires_grad_() for key, weight in truth.items()}
    inputs, upstream = draw(3, 23, batch, 4), draw(3, 2, batch, hidden)
    expected = by_kernel("stepwise", cell, truth, inputs, upstream)
    found = by_kernel("fused", cell, weights, inputs.to(dtype), upstream.to(dtype), threads=2)
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(found.outputs.double(), expected.outputs, **near)
    for key in weights:
        torch.testing.assert_close(found.gradients[key].double(), expected.gradients[key], **near)
    for part in cell.states:
        torch.testing.assert_close(found.norms[part].double(), expected.norms[part], **near)


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert build.available()
    for number, name in enumerate(CELLS):
        for hidden, batch in SHAPES:
            check(name, hidden, batch, (torch.float32, torch.float64)[number % 2])
    print("the same")
