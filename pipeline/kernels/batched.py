"""Level 2: the tanh RNN, GRU and LSTM of all replicas at once in torch, with a backward pass written by hand.

No autograd graph: the states of all steps lie in rows [h, 1, x] of one block of memory that the next update uses
again, one batched matrix product serves a step (passes.py), and the weights' gradients are summed over chunks of
steps. Portable to any device of torch, and the oracle of the fused passes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from pipeline.kernels.batched_steps import GRUPass, LSTMPass, Pass, RNNPass
from pipeline.kernels.scaling import Norms, RunningGradient, times_power_of_two_
from pipeline.kernels.workspace import Trace, Workspace, lend

PASSES: Mapping[type[Cell], type[Pass]] = {RNN: RNNPass, GRU: GRUPass, LSTM: LSTMPass}
GATES = {cell: len(passes.order) for cell, passes in PASSES.items()}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CHUNK = 8  # steps whose gradients of the weights are summed by one matrix product


def unroll(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Shaped[Tensor, "replica time batch *input"],
    outputs: int,
    norms: Norms | None,
    trace: Trace | None,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs with a graph; see kernels/unroll.py."""
    tensors = [weights[name] for name in NAMES]
    result: Tensor = _Unroll.apply(cell, inputs, outputs, norms, trace, *tensors)  # type: ignore[no-untyped-call]
    return result


class _Memory:
    """The rows [h, 1, x], the further parts of the state, and what each step keeps, for `slots` steps."""

    def __init__(self, cell: Cell, steps: Pass, inputs: Tensor, slots: int, owner: object):
        replicas, batch, (width, dtype) = inputs.shape[0], inputs.shape[2], (steps.packed.shape[1], steps.packed.dtype)
        shapes = [(replicas, slots + 1, batch, width), (replicas, slots, batch, steps.kept * cell.hidden)]
        shapes += [(replicas, slots + 1, batch, cell.hidden)] * (len(cell.states) - 1)
        self.workspace: Workspace = lend(owner, shapes, dtype, steps.packed.device)
        self.rows, kept, *others = self.workspace.split(shapes)
        self.hidden = cell.hidden
        self.kept = kept.unbind(1)
        self.row = self.rows.unbind(1)
        parts = [self.rows[..., : cell.hidden].unbind(1), *(part.unbind(1) for part in others)]
        self.state = list(zip(*parts, strict=True))  # [slot][part]

    def begin(self) -> None:
        """Set the state to zero, and the ones of all rows."""
        for part in self.state[0]:
            part.zero_()
        self.rows[..., self.hidden] = 1

    def read(self, inputs: Tensor) -> None:
        """Put these steps' inputs into the rows; a token as a 1 among zeros."""
        target = self.rows[:, : inputs.shape[1], :, self.hidden + 1 :]
        if inputs.dtype.is_floating_point:
            target.copy_(inputs)
        else:
            target.zero_().scatter_(-1, inputs.long().unsqueeze(-1), 1)

    def carry(self, slot: int) -> None:
        """Go on from this slot's state at the first slot."""
        for first, last in zip(self.state[0], self.state[slot], strict=True):
            first.copy_(last)


@torch.no_grad()
def evaluate(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Shaped[Tensor, "replica time batch *input"],
    outputs: int,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs alone, in the memory of a few steps."""
    steps, total = PASSES[type(cell)](weights), inputs.shape[1]
    memory = _Memory(cell, steps, inputs, min(CHUNK, total), object())
    memory.begin()
    kept = []
    for begin in range(0, total, CHUNK):
        chunk = inputs[:, begin : begin + CHUNK]
        memory.read(chunk)
        for slot in range(chunk.shape[1]):
            steps.forward(memory.row[slot], memory.kept[slot], memory.state[slot], memory.state[slot + 1])
            if begin + slot >= total - outputs:
                kept.append(memory.state[slot + 1][0].clone())
        memory.carry(chunk.shape[1])
    memory.workspace.give_back()
    return torch.stack(kept, dim=1)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cell: Cell, inputs: Tensor, outputs: int, norms: Norms | None, trace: Trace | None, *tensors: Tensor
    ) -> Float[Tensor, "replica outputs batch hidden"]:
        steps = PASSES[type(cell)](dict(zip(NAMES, tensors, strict=True)))
        total = inputs.shape[1]
        ctx.owner = object()
        memory = _Memory(cell, steps, inputs, total, ctx.owner)
        memory.begin()
        memory.read(inputs)
        for step in range(total):
            steps.forward(memory.row[step], memory.kept[step], memory.state[step], memory.state[step + 1])
        ctx.cell, ctx.steps, ctx.memory, ctx.norms, ctx.trace = cell, steps, memory, norms, trace
        return memory.rows[:, total + 1 - outputs :, :, : cell.hidden].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        memory: _Memory = ctx.memory
        memory.workspace.check(ctx.owner)
        if ctx.trace is not None:
            ctx.trace.states.copy_(memory.rows[:, 1:, :, : ctx.cell.hidden])
        found = ctx.steps.unpack(_back(ctx.cell, ctx.steps, memory, gradient, ctx.norms, ctx.trace))
        memory.workspace.give_back()
        return (None,) * 5 + tuple(found[name] for name in NAMES)


def _back(
    cell: Cell, steps: Pass, memory: _Memory, gradient: Tensor, norms: Norms | None, trace: Trace | None
) -> Tensor:
    """Return dL/dP, summed over all steps; the norms and the trace's errors are filled."""
    total, first_output = len(memory.kept), len(memory.kept) - gradient.shape[1]
    zero = [torch.zeros_like(part) for part in memory.state[0]]
    running = RunningGradient(zero, cell.states, norms, total, trace)
    columns = gradient.new_empty(len(gradient), min(CHUNK, total), gradient.shape[2], steps.columns * cell.hidden)
    of_step = columns.unbind(1)
    sums = gradient.new_zeros(len(gradient), memory.rows.shape[-1], columns.shape[-1])
    for begin in reversed(range(0, total, CHUNK)):
        chunk = range(begin, min(begin + CHUNK, total))
        for step in reversed(chunk):
            if step >= first_output:
                running.inject(gradient[:, step - first_output])
            state, after = memory.state[step], memory.state[step + 1]
            totals, before = steps.backward(running.parts, memory.kept[step], state, after, of_step[step - begin])
            running.advance(step, totals, before)
        if _restore_scale(columns[:, : len(chunk)], running, begin):
            rows = memory.rows[:, begin : chunk.stop].flatten(1, 2)
            sums.baddbmm_(rows.mT, columns[:, : len(chunk)].flatten(1, 2))
    running.write()
    return sums


def _restore_scale(columns: Float[Tensor, "replica steps batch columns"], running: RunningGradient, begin: int) -> bool:
    """Bring A of the steps from `begin` on to its true scale; False where it is zero then, as without rescaling."""
    exponents = torch.stack(running.exponents[begin : begin + columns.shape[1]], dim=1)
    if columns.is_cuda or running.scaled:
        if not columns.is_cuda and float(exponents.max()) < -2 * running.limit:
            return False
        times_power_of_two_(columns, exponents)
    return True
