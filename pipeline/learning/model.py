"""A cell with a linear readout, for many replicas at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.data import streams
from pipeline.kernels.unroll import passes, unroll
from pipeline.kernels.workspace import Trace
from pipeline.learning.objective import Objective

READOUT = ("readout.weight", "readout.bias")
WORTHWHILE = 1_000_000  # multiplications in a forward pass that make up for waking one more thread twice an update


@dataclass(frozen=True)
class Layout:
    """Where each named weight lies in a row that holds all weights of one replica."""

    shapes: Mapping[str, tuple[int, ...]]

    def views(self, rows: Float[Tensor, "replica weight"]) -> dict[str, Float[Tensor, "replica ..."]]:
        """Return each weight by name, stacked over the replicas; changes to `rows` and gradients pass through."""
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
    channels: int | None = None  # of the inputs, where symbols are read one-hot; None: as weight_ih says

    def __call__(
        self,
        inputs: Shaped[Tensor, "replica time batch ..."],
        answers: int,
        norms: Mapping[str, Float[Tensor, "replica time"]] | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "replica answer batch output"]:
        """Return the readout of the last `answers` states; going back fills `norms` and `trace`, see kernels.unroll."""
        weights = self.layout.views(self.rows)
        readout, bias = (weights.pop(name) for name in READOUT)
        return _read_out(self.states(self.cell.materialise(weights), inputs, answers, norms, trace), readout, bias)

    def states(
        self,
        weights: Mapping[str, Float[Tensor, "replica ..."]],
        inputs: Shaped[Tensor, "replica time batch ..."],
        answers: int,
        norms: Mapping[str, Float[Tensor, "replica time"]] | None = None,
        trace: Trace | None = None,
    ) -> Float[Tensor, "replica answer batch hidden"]:
        """Return the part of the last `answers` states that the readout sees, by materialised weights."""
        threads, channels = worthwhile(self.threads, weights, inputs), self.channels
        return unroll(
            self.cell, weights, inputs, answers, norms, trace, kernel=self.kernel, channels=channels, threads=threads
        )

    def gradient(
        self,
        inputs: Shaped[Tensor, "replica time batch ..."],
        targets: Shaped[Tensor, "replica answer batch ..."],
        answers: int,
        objective: Objective,
        norms: Mapping[str, Float[Tensor, "replica time"]],
        trace: Trace | None = None,
    ) -> Float[Tensor, " replica"]:
        """Return each replica's loss; its gradient by the weights goes to `rows.grad`, and fills `norms` and `trace`.

        By hand where the fused pass serves, for there autograd's graph would take longer than a short pass:

            y = V h + v       dL/dV = sum of (dL/dy) h'       dL/dv = sum of dL/dy       dL/dh = V' dL/dy
        """
        trained = {name: view for name, view in self._views.items() if name not in READOUT}
        readout, bias = (self._views[name] for name in READOUT)
        weights = _Materialised(self.cell, trained)
        threads = worthwhile(self.threads, weights.ready, inputs)
        run = passes(self.cell, weights.ready, inputs, answers, self.kernel, threads, norms, trace, self.channels)
        if run is None:
            outputs = self(inputs, answers, norms, trace)
            losses, slope = objective.loss(outputs.detach(), targets)
            self.rows.grad = None
            outputs.backward(slope)
            self._forget_fixed()
            return losses
        states = run.forward(keep=True)
        losses, slope = objective.loss(_read_out(states, readout, bias), targets)
        memory, gradient = self._gradient
        flat, slope = states.flatten(1, 2), slope.flatten(1, 2)
        gradient[READOUT[0]].copy_(slope.mT @ flat)
        torch.sum(slope, dim=1, out=gradient[READOUT[1]])
        with weights.gradient(gradient) as found:
            run.backward((slope @ readout).view_as(states), found, norms, trace)
        self.rows.grad = memory
        self._forget_fixed()
        return losses

    @torch.no_grad()
    def project(self) -> None:
        """Move the weights to the nearest allowed ones, see `Cell.project`."""
        weights = {name: view for name, view in self._views.items() if name not in READOUT}
        allowed = self.cell.project(weights)
        if allowed is not weights:
            for name, weight in allowed.items():
                weights[name].copy_(weight)

    def _forget_fixed(self) -> None:
        """Set the gradient by the weights that are not trained to zero, so that no norm counts it."""
        fixed = [name for name, group in self.cell.groups.items() if group.rate == 0]
        if fixed and self.rows.grad is not None:
            gradient = self.layout.views(self.rows.grad)
            for name in fixed:
                gradient[name].zero_()

    @cached_property
    def _views(self) -> dict[str, Float[Tensor, "replica ..."]]:
        """Each weight where it lies in `rows`, without a graph."""
        return self.layout.views(self.rows.detach())

    @cached_property
    def _gradient(self) -> tuple[Float[Tensor, "replica weight"], dict[str, Float[Tensor, "replica ..."]]]:
        """The memory of the gradient, of which each update writes all; and each weight's part of it."""
        memory = torch.empty_like(self.rows.detach())
        return memory, self.layout.views(memory)


class _Materialised:
    """The weights that `forward` reads, without a graph, and the way back from their gradient to the trained ones."""

    def __init__(self, cell: Cell, trained: Mapping[str, Float[Tensor, "replica ..."]]) -> None:
        self.trained = {name: weight.detach().requires_grad_() for name, weight in trained.items()}
        with torch.enable_grad():
            self.made = cell.materialise(self.trained)
        self.ready = {name: weight.detach() for name, weight in self.made.items()}

    @contextmanager
    def gradient(
        self, gradient: Mapping[str, Float[Tensor, "replica ..."]]
    ) -> Iterator[Mapping[str, Float[Tensor, "replica ..."]]]:
        """Lend memory for the gradient by what `forward` reads; at the end, write that by the trained weights."""
        if self.made is self.trained:
            yield gradient
            return
        found = {
            name: torch.empty_like(weight, memory_format=torch.contiguous_format) for name, weight in self.ready.items()
        }
        yield found
        roots = {name: weight for name, weight in self.made.items() if weight.requires_grad}
        leaves, upstream = list(self.trained.values()), [found[name] for name in roots]
        back = torch.autograd.grad(list(roots.values()), leaves, upstream, allow_unused=True, materialize_grads=True)
        for name, part in zip(self.trained, back, strict=True):
            gradient[name].copy_(part)


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
    """Return how many of the allowed threads finish such a pass sooner: a weight is used once a step and sequence."""
    multiplications = sum(weight.numel() for weight in weights.values()) * prod(inputs.shape[1:3])
    return min(threads, 1 + multiplications // WORTHWHILE)


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
    return {**cell.weights(channels, random), **dict(zip(READOUT, cell.readout(outputs, random), strict=True))}
