"""A cell with a linear readout, for many replicas at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell
from pipeline.data import streams
from pipeline.kernels.unroll import passes, unroll
from pipeline.kernels.workspace import Trace
from pipeline.learning.objective import Objective

READOUT = ("readout.weight", "readout.bias")
WORTHWHILE = 8_000_000  # multiplications in a forward pass that make up for starting one more thread twice an update


@dataclass(frozen=True)
class Layout:
    """Where each named weight lies in a row that holds all weights of one replica."""

    shapes: Mapping[str, tuple[int, ...]]

    def views(self, rows: Float[Tensor, "replica weight"]) -> dict[str, Float[Tensor, "replica ..."]]:
        """Each weight by name, stacked over the replicas; changes to `rows` and gradients pass through."""
        parts = rows.split([prod(shape) for shape in self.shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}


@dataclass(frozen=True)
class Model:
    """`readout(cell(inputs))`. `rows` is the one tensor that is trained: all weights of a replica are one row of it."""

    cell: Cell
    layout: Layout
    rows: Float[Tensor, "replica weight"]
    kernel: str  # which pass through time, see kernels.unroll
    threads: int  # that the fused pass may use; results do not depend on it

    def __call__(
        self,
        inputs: Shaped[Tensor, "replica time batch ..."],
        answers: int,
        norms: Mapping[str, Float[Tensor, "replica time"]] | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "replica answer batch output"]:
        """The readout of the last `answers` states; the backward pass fills `norms` and `trace`, see kernels.unroll."""
        weights = self.layout.views(self.rows)
        readout, bias = (weights.pop(name) for name in READOUT)
        threads = worthwhile(self.threads, weights, inputs)
        states = unroll(self.cell, weights, inputs, answers, norms, trace, kernel=self.kernel, threads=threads)
        return _read_out(states, readout, bias)

    def gradient(
        self,
        inputs: Shaped[Tensor, "replica time batch ..."],
        targets: Shaped[Tensor, "replica answer batch ..."],
        answers: int,
        objective: Objective,
        norms: Mapping[str, Float[Tensor, "replica time"]],
        trace: Trace | None = None,
    ) -> Float[Tensor, " replica"]:
        """The loss of each replica; its gradient by the weights goes to `rows.grad`, and fills `norms` and `trace`.

        By hand where the fused pass serves, for there autograd's graph would take longer than a short pass:

            y = V h + v       dL/dV = sum of (dL/dy) h'       dL/dv = sum of dL/dy       dL/dh = V' dL/dy
        """
        weights = {name: view for name, view in self._views.items() if name not in READOUT}
        readout, bias = (self._views[name] for name in READOUT)
        threads = worthwhile(self.threads, weights, inputs)
        run = passes(self.cell, weights, inputs, answers, self.kernel, threads, norms, trace)
        if run is None:
            outputs = self(inputs, answers, norms, trace)
            losses, slope = objective.loss(outputs.detach(), targets)
            self.rows.grad = None
            outputs.backward(slope)
            return losses
        states = run.forward(keep=True)
        losses, slope = objective.loss(_read_out(states, readout, bias), targets)
        memory, gradient = self._gradient
        flat, slope = states.flatten(1, 2), slope.flatten(1, 2)
        gradient[READOUT[0]].copy_(slope.mT @ flat)
        torch.sum(slope, dim=1, out=gradient[READOUT[1]])
        run.backward((slope @ readout).view_as(states), gradient, norms, trace)
        self.rows.grad = memory
        return losses

    @cached_property
    def _views(self) -> dict[str, Float[Tensor, "replica ..."]]:
        """Each weight where it lies in `rows`, without a graph."""
        return self.layout.views(self.rows.detach())

    @cached_property
    def _gradient(self) -> tuple[Float[Tensor, "replica weight"], dict[str, Float[Tensor, "replica ..."]]]:
        """The memory of the gradient, of which each update writes all; and each weight's part of it."""
        memory = torch.empty_like(self.rows.detach())
        return memory, self.layout.views(memory)


def _read_out(
    states: Float[Tensor, "replica answer batch hidden"],
    readout: Float[Tensor, "replica output hidden"],
    bias: Float[Tensor, "replica output"],
) -> Float[Tensor, "replica answer batch output"]:
    flat = torch.baddbmm(bias.unsqueeze(1), states.flatten(1, 2), readout.mT)
    answered: Tensor = flat.unflatten(1, states.shape[1:3])
    return answered


def worthwhile(
    threads: int, weights: Mapping[str, Float[Tensor, "replica ..."]], inputs: Shaped[Tensor, "replica time batch ..."]
) -> int:
    """How many threads, of those allowed, finish such a pass sooner: each weight is used once a step and sequence."""
    multiplications = sum(weight.numel() for weight in weights.values()) * prod(inputs.shape[1:3])
    return max(1, min(threads, multiplications // WORTHWHILE))


def begin(
    cell: Cell | Sequence[Cell], channels: int, outputs: int, seed: int, seeds: Sequence[int]
) -> tuple[Float[Tensor, "replica weight"], Layout]:
    """Return the rows of untrained replicas, and where each weight lies in them.

    The weights of each depend on (seed, its own of `seeds`) alone. Several cells, one a replica, may differ in how
    their weights begin.
    """
    cells = [cell] * len(seeds) if isinstance(cell, Cell) else cell
    begun = zip(cells, seeds, strict=True)
    drawn = [_weights(each, channels, outputs, streams.weights_seed(seed, own)) for each, own in begun]
    layout = Layout({name: tuple(weight.shape) for name, weight in drawn[0].items()})
    rows = torch.stack([torch.cat([weight.flatten() for weight in weights.values()]) for weights in drawn])
    return rows, layout


def _weights(cell: Cell, channels: int, outputs: int, seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    weights = cell.weights(channels, random)
    readout = initialization.dense(cell.init, outputs, cell.hidden, cell.hidden, random)
    return {**weights, READOUT[0]: readout, READOUT[1]: initialization.bias(cell.init, outputs, cell.hidden, random)}
