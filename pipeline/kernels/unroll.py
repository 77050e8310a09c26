"""A cell through time, all replicas at once: the door to the kernels, which checks and chooses.

`unroll` is differentiable as any tensor is. `passes` is for a training, which asks for the gradient of every update:
autograd's graph of one takes longer than the passes through a short sequence.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from pipeline.base.errors import UserError, require
from pipeline.cells.cell import Cell
from pipeline.kernels import batched, build, fused, stepwise
from pipeline.kernels.batched_steps import Weights
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.compile import Compiled, compiled
from pipeline.kernels.prepared import PreparedPasses
from pipeline.kernels.program import Program
from pipeline.kernels.scaling import Norms
from pipeline.kernels.validation import input_width
from pipeline.kernels.workspace import Trace

KERNELS = ("auto", "fused", "torch", "stepwise")

NOT_BUILT = "nothing can be compiled here, as a warning says; take auto"

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
    """Return the cell's output after each of the last `outputs` steps; differentiable by the weights.

    Integers are tokens, one-hot inputs of width `channels` (by default that of weight_ih). `norms`, one tensor
    [replica, time] for each of cell.states, is filled by the backward pass: log2 of the Frobenius norm, over batch
    and hidden, of dL/d(state after step t), each replica alone, equal to what autograd's retain_grad sees, without
    underflow or overflow; scaling.FLOOR where the gradient is exactly zero. `trace` is filled in the same way.

    kernel    fused     C++ on the CPU, made from the cell's lines; UserError where it cannot be built
              torch     RNN, GRU and LSTM by hand, any other cell by running its graph; else as stepwise
              stepwise  any cell, from its `forward` alone
              auto      the first of these that serves the cell and the device; where the fused one cannot be built,
                        a warning and the next
    threads   of the fused kernel, each for replicas of its own, by default torch.get_num_threads(); results do not
              depend on it
    """
    width = _checked(cell, weights, inputs, outputs, norms, trace, channels)
    chosen = choose(kernel, cell, weights, width, inputs.device.type)
    threads = threads or torch.get_num_threads()
    graph = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights.values())
    if chosen.program is not None:
        if graph:
            return fused.unroll(cell, chosen.program, weights, inputs, width, outputs, norms, threads, trace)
        return _passes(cell, chosen.program, weights, inputs, width, outputs, threads).forward(keep=False)
    if chosen.replay is not None:
        program, leaves = chosen.replay.replayed(weights)
        start = cell.start(weights, inputs.shape[2])
        if graph:
            return replay.unroll(cell, program, leaves, inputs, width, outputs, norms, trace, start)
        return replay.evaluate(program, leaves, inputs, width, outputs, start)
    if chosen.kernel == "torch":
        if graph:
            return batched.unroll(cell, weights, inputs, outputs, norms, trace)
        return batched.evaluate(cell, weights, inputs, outputs)
    if graph:
        return stepwise.unroll(cell, weights, inputs, outputs, norms, trace, width)
    return stepwise.evaluate(cell, weights, inputs, outputs, width)


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
    """Return the forward pass of `unroll` and the backward pass through it, without autograd; None if that is needed.

    `norms` and `trace` are checked here, and filled when the backward pass is given them.
    """
    width = _checked(cell, weights, inputs, outputs, norms, trace, channels)
    program = choose(kernel, cell, weights, width, inputs.device.type).program
    return None if program is None else _passes(cell, program, weights, inputs, width, outputs, threads)


def _passes(
    cell: Cell, program: Program, weights: Weights, inputs: Inputs, width: int, outputs: int, threads: int
) -> fused.Passes:
    prepared = program.derive is not None or cell.initial(weights) is not None
    kind = PreparedPasses if prepared else fused.NativePasses
    return kind(cell, program, weights, inputs, width, outputs, threads)


def _checked(
    cell: Cell,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    outputs: int,
    norms: Mapping[str, Tensor] | None,
    trace: Trace | None,
    channels: int | None,
) -> int:
    """Return the number of input channels; raises ValueError where something does not fit."""
    if trace is not None:
        trace.check(next(iter(weights.values())), (*inputs.shape[:3], cell.hidden))
    return input_width(cell, batched.GATES.get(type(cell)), weights, inputs, outputs, norms, channels)


class Choice(NamedTuple):
    """The passes that serve a cell."""

    kernel: str  # fused, torch or stepwise
    program: Program | None = None  # fused
    replay: Compiled | None = None  # torch, where the cell's own graph is run; None: by hand


_served: dict[type[Cell], str] = {}  # which kernel ran a cell of this class last


def served(cell: Cell) -> str:
    """Return the kernel that ran cells of this class last, `none` if none did."""
    return _served.get(type(cell), "none")


def choose(kernel: str, cell: Cell, weights: Weights, channels: int, device: str) -> Choice:
    """Return the fastest passes of this kernel, or of any with auto, that serve; UserError where none does."""
    chosen = _choose(kernel, cell, weights, channels, device)
    _served[type(cell)] = chosen.kernel
    return chosen


def _choose(kernel: str, cell: Cell, weights: Weights, channels: int, device: str) -> Choice:
    require(kernel in KERNELS, "training.kernel", f"must be one of {', '.join(KERNELS)}", kernel)
    if kernel == "stepwise":
        return Choice("stepwise")
    by_hand = Choice("torch") if type(cell) in batched.PASSES else None
    if by_hand and kernel == "torch":
        return by_hand
    found = compiled(cell, weights, channels)
    reason = found.reason
    if device == "cpu" and found.native is not None and kernel != "torch":
        if build.passes(found.native.source, next(iter(weights.values())).dtype) is not None:
            return Choice("fused", found.native)
        reason = NOT_BUILT
    if kernel == "fused" and device != "cpu":
        reason = "that serves the CPU alone"
    if by_hand and kernel == "auto":
        return by_hand
    if found.graph is None or kernel == "fused":
        return _refused(kernel, str(reason))
    if reason is not None and reason != NOT_BUILT and kernel == "auto":
        _say(reason, "torch")
    return Choice("torch", None, found)


def _refused(kernel: str, reason: str) -> Choice:
    """Return the slow passes that serve every cell, after a warning; raises UserError if that is not what is wanted."""
    if kernel == "fused":
        raise UserError(f"training.kernel is fused, but {reason}")
    _say(reason, "stepwise")
    return Choice("stepwise")


@cache
def _say(reason: str, kernel: str) -> None:
    """Warn once that a slower kernel serves a cell."""
    warnings.warn(f"{reason}: its passes run with kernel={kernel}, which is slower", stacklevel=5)
