"""Fused passes of cells that compute with their weights first: what comes before the first step is torch's."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.kernels.fused import Passes, Weights
from pipeline.kernels.program import Program
from pipeline.kernels.scaling import Norms
from pipeline.kernels.workspace import Trace


class DerivedPasses:
    """`fused.Passes` of a cell that computes with its weights before it multiplies by them."""

    def __init__(
        self,
        cell: Cell,
        program: Program,
        weights: Weights,
        inputs: Shaped[Tensor, "replica time batch ..."],
        channels: int,
        outputs: int,
        threads: int,
        start: State | None = None,
    ) -> None:
        assert program.derive is not None
        with torch.enable_grad():
            self.weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            self.derived = program.derive(self.weights)
        plain = {name: tensor.detach() for name, tensor in self.derived.items()}
        self.passes = Passes(cell, program, plain, inputs, channels, outputs, threads, start)

    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        """Return the outputs; `keep` what a backward pass needs."""
        return self.passes.forward(keep)

    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Weights,
        norms: Norms | None = None,
        trace: Trace | None = None,
        of_start: State | None = None,
    ) -> None:
        """Write dL/d(weights) into `gradient`; see `Passes`."""
        of_derived = {name: torch.empty_like(tensor) for name, tensor in self.derived.items()}
        self.passes.backward(upstream, of_derived, norms, trace, of_start)
        differentiable = [name for name, tensor in self.derived.items() if tensor.requires_grad]
        found = torch.autograd.grad(
            [self.derived[name] for name in differentiable],
            list(self.weights.values()),
            [of_derived[name] for name in differentiable],
            allow_unused=True,
        )
        for name, part in zip(self.weights, found, strict=True):
            gradient[name].zero_() if part is None else gradient[name].copy_(part)


class StartedPasses:
    """The same for a cell whose first state is made of its weights."""

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
        with torch.enable_grad():
            self.weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            self.start = cell.start(self.weights, inputs.shape[2])
        start = tuple(part.detach() for part in self.start)
        kind = DerivedPasses if program.derive else Passes
        self.passes = kind(cell, program, weights, inputs, channels, outputs, threads, start)

    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        """Return the outputs; `keep` what a backward pass needs."""
        return self.passes.forward(keep)

    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Weights,
        norms: Norms | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Write dL/d(weights) into `gradient`; see `Passes`."""
        of_start = empty_like(self.start)
        self.passes.backward(upstream, gradient, norms, trace, of_start)
        pairs = [(part, found) for part, found in zip(self.start, of_start, strict=True) if part.requires_grad]
        if not pairs:
            return
        parts, upstreams = zip(*pairs, strict=True)
        found = torch.autograd.grad(parts, list(self.weights.values()), upstreams, allow_unused=True)
        for name, part in zip(self.weights, found, strict=True):
            if part is not None:
                gradient[name].add_(part)


AnyPasses = Passes | DerivedPasses | StartedPasses


def empty_like(parts: State) -> State:
    """Return memory for parts of a state, each contiguous."""
    return tuple(torch.empty_like(part, memory_format=torch.contiguous_format) for part in parts)
