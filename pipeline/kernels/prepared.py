"""Fused passes of cells that compute with their weights before the first step: that is left to torch."""

from typing import final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels.fused import NativePasses, Passes, Weights
from pipeline.kernels.program import Program
from pipeline.kernels.scaling import Norms
from pipeline.kernels.workspace import Trace


@final
class PreparedPasses(Passes):
    """The passes of a cell whose products, or whose first state, are made of its weights."""

    def __init__(
        self,
        cell: Cell,
        program: Program,
        weights: Weights,
        inputs: Shaped[Tensor, "replica time batch ..."],
        channels: int,
        outputs: int,
        threads: int,
    ) -> None:
        started = cell.initial(weights) is not None
        with torch.enable_grad():
            self.weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            self.derived = program.derive(self.weights) if program.derive else self.weights
            self.start = cell.start(self.weights, inputs.shape[2]) if started else ()
        plain, start = (
            {name: tensor.detach() for name, tensor in self.derived.items()},
            [*map(Tensor.detach, self.start)],
        )
        self.passes = NativePasses(cell, program, plain, inputs, channels, outputs, threads, tuple(start))

    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        return self.passes.forward(keep)

    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Weights,
        norms: Norms | None = None,
        trace: Trace | None = None,
    ) -> None:
        of_derived = {name: contiguous_like(tensor) for name, tensor in self.derived.items()}
        of_start = tuple(map(contiguous_like, self.start))
        self.passes.backward(upstream, of_derived, norms, trace, of_start)
        made, into = [*self.derived.values(), *self.start], [*of_derived.values(), *of_start]
        roots = [tensor for tensor in made if tensor.requires_grad]
        upstreams = [found for tensor, found in zip(made, into, strict=True) if tensor.requires_grad]
        back = torch.autograd.grad(
            roots, list(self.weights.values()), upstreams, allow_unused=True, materialize_grads=True
        )
        for name, part in zip(self.weights, back, strict=True):
            gradient[name].copy_(part)


def contiguous_like(tensor: Tensor) -> Tensor:
    """Return memory for a tensor of this shape."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)
