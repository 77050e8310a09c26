"""A cell through time, all replicas at once: the door to the kernels, which checks and chooses.

`unroll` is differentiable as any tensor is. `passes` is for a training, which asks for the gradient of every update:
autograd's graph of one takes longer than the passes through a short sequence.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from pipeline.base.errors import UserError, require
from pipeline.cells.cell import Cell
from pipeline.kernels import batched, fused, stepwise
from pipeline.kernels.batched_steps import Weights
from pipeline.kernels.program import BY_HAND
from pipeline.kernels.scaling import Norms
from pipeline.kernels.validation import input_width
from pipeline.kernels.workspace import Trace

KERNELS = ("auto", "fused", "torch", "stepwise")

Inputs = Float[Tensor, "replica time batch input"] | Integer[Tensor, "replica time batch"]


def unroll(
    cell: Cell,
    weights: Weights,
    inputs: Inputs,
    outputs: int,
    norms: Norms | None = None,
    trace: Trace | None = None,
    *,
    kernel: str = "auto",
    channels: int | None = None,
    threads: int | None = None,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """The cell's output after each of the last `outputs` steps, from a zero state; differentiable by the weights.

    Integers are tokens, one-hot inputs of width `channels` (by default that of weight_ih). `norms`, one tensor
    [replica, time] for each of cell.states, is filled by the backward pass: log2 of the Frobenius norm, over batch
    and hidden, of dL/d(state after step t), each replica alone, equal to what autograd's retain_grad sees, without
    underflow or overflow; scaling.FLOOR where the gradient is exactly zero. `trace` is filled in the same way.

    kernel    fused     C++, for RNN, GRU and LSTM on the CPU; UserError where it cannot be built
              torch     for those three a backward pass written by hand, else as stepwise
              stepwise  any cell, from its `forward` alone
              auto      the first of these that serves the cell and the device; where the fused one cannot be built,
                        a warning and the next
    threads   of the fused kernel, each for replicas of its own, by default torch.get_num_threads(); results do not
              depend on it
    """
    width = _checked(cell, weights, inputs, outputs, norms, trace, channels)
    kernel = _chosen(kernel, type(cell), inputs.device.type)
    threads = threads or torch.get_num_threads()
    graph = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights.values())
    if kernel == "stepwise":
        if graph:
            return stepwise.unroll(cell, weights, inputs, outputs, norms, trace, width)
        return stepwise.evaluate(cell, weights, inputs, outputs, width)
    if kernel == "torch":
        if graph:
            return batched.unroll(cell, weights, inputs, outputs, norms, trace)
        return batched.evaluate(cell, weights, inputs, outputs)
    program = BY_HAND[type(cell)]
    if graph:
        return fused.unroll(cell, program, weights, inputs, width, outputs, norms, threads, trace)
    return fused.Passes(cell, program, weights, inputs, width, outputs, threads).forward(keep=False)


def passes(
    cell: Cell,
    weights: Weights,
    inputs: Inputs,
    outputs: int,
    kernel: str,
    threads: int,
    norms: Norms,
    trace: Trace | None,
    channels: int | None = None,
) -> fused.Passes | None:
    """The forward pass of `unroll` and the backward pass through it, without autograd; None where autograd is needed.

    `norms` and `trace` are checked here, and filled when the backward pass is given them.
    """
    if _chosen(kernel, type(cell), inputs.device.type) != "fused":
        return None
    width = _checked(cell, weights, inputs, outputs, norms, trace, channels)
    return fused.Passes(cell, BY_HAND[type(cell)], weights, inputs, width, outputs, threads)


def _checked(
    cell: Cell,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    outputs: int,
    norms: Mapping[str, Tensor] | None,
    trace: Trace | None,
    channels: int | None,
) -> int:
    """The number of input channels; raises ValueError where something does not fit."""
    if trace is not None:
        trace.check(next(iter(weights.values())), (*inputs.shape[:3], cell.hidden))
    return input_width(cell, batched.GATES.get(type(cell)), weights, inputs, outputs, norms, channels)


def _chosen(kernel: str, cell: type[Cell], device: str) -> str:
    """One of fused, torch, stepwise."""
    require(kernel in KERNELS, "training.kernel", f"must be one of {', '.join(KERNELS)}", kernel)
    known = cell in batched.PASSES
    served = known and device == "cpu"
    if kernel == "fused" and not served:
        rule = "fused serves RNN, GRU and LSTM on the CPU"
        raise UserError(f"training.kernel {rule}; got the cell {cell.__name__} on {device}")
    if kernel in ("auto", "fused") and served and fused.available():
        return "fused"
    if kernel == "fused":
        raise UserError("training.kernel is fused, but nothing can be compiled here, as a warning says; take auto")
    return "torch" if known and kernel != "stepwise" else "stepwise"
