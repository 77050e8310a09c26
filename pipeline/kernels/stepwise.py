"""Level 1: backpropagation through time for any cell, from its pure `forward` alone.

The forward pass keeps the states and no graph; the backward pass computes each step again and differentiates it:

    g_t  = dL/d(state after t)               from step t + 1, and from the loss
    dL/dw += 2^e (d step / d w)' g_t         summed over t
    g_(t-1) = (d step / d state)' g_t        rescaled, see scaling.py

It works on any device and type, and is the oracle of the faster levels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.kernels.scaling import Norms, RunningGradient, times_power_of_two_
from pipeline.kernels.workspace import Trace


def unroll(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Shaped[Tensor, "replica time batch *input"],
    outputs: int,
    norms: Norms | None,
    trace: Trace | None,
    channels: int,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs with a graph; see kernels/unroll.py."""
    start = cell.start(weights, inputs.shape[2])
    result: Tensor = _Unroll.apply(  # type: ignore[no-untyped-call]
        cell, tuple(weights), inputs, outputs, norms, trace, channels, *start, *weights.values()
    )
    return result


def evaluate(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Shaped[Tensor, "replica time batch *input"],
    outputs: int,
    channels: int,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs alone."""
    with torch.no_grad():
        return _forward(cell, weights, cell.start(weights, inputs.shape[2]), inputs, outputs, channels, None)


def _forward(
    cell: Cell,
    weights: Mapping[str, Tensor],
    state: State,
    inputs: Tensor,
    outputs: int,
    channels: int,
    states: list[State] | None,
) -> Tensor:
    """Return the last outputs; the states from the first one on are appended to `states` where there is a list."""
    steps = inputs.shape[1]
    kept = []
    for step in range(steps):
        if states is not None:
            states.append(state)
        state = cell.forward(weights, state, _input(inputs, step, channels, state[0].dtype))
        if step >= steps - outputs:
            kept.append(state[0])
    if states is not None:
        states.append(state)
    return torch.stack(kept, dim=1)


def _input(inputs: Tensor, step: int, channels: int, dtype: torch.dtype) -> Float[Tensor, "replica batch input"]:
    """Return what the cell reads at this step; a token is a row with a single 1."""
    if inputs.dtype.is_floating_point:
        return inputs[:, step]
    return torch.nn.functional.one_hot(inputs[:, step].long(), channels).to(dtype)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        names: tuple[str, ...],
        inputs: Tensor,
        outputs: int,
        norms: Norms | None,
        trace: Trace | None,
        channels: int,
        *tensors: Tensor,
    ) -> Tensor:
        ctx.states = []
        start, weights = tensors[: len(cell.states)], tensors[len(cell.states) :]
        ctx.cell, ctx.names, ctx.norms, ctx.trace, ctx.channels = cell, names, norms, trace, channels
        ctx.save_for_backward(inputs, *weights)
        named = dict(zip(names, weights, strict=True))
        return _forward(cell, named, start, inputs, outputs, channels, ctx.states)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, *tensors = ctx.saved_tensors
        weights = {n: w.detach().requires_grad_() for n, w in zip(ctx.names, tensors, strict=True)}
        steps, outputs = inputs.shape[1], gradient.shape[1]
        zero = [torch.zeros_like(part) for part in ctx.states[0]]
        running = RunningGradient(zero, ctx.cell.states, ctx.norms, steps, ctx.trace)
        sums: list[Tensor] = []
        for step in reversed(range(steps)):
            if step >= steps - outputs:
                running.inject(gradient[:, step - steps + outputs])
            input = _input(inputs, step, ctx.channels, gradient.dtype)
            found = _step_back(ctx.cell, weights, ctx.states[step], input, step, running)
            if not sums:
                sums = [part.clone() for part in found]  # in the order of memory that autograd gives, to add fast
                continue
            for total, part in zip(sums, found, strict=True):
                total += part
        running.write()
        if ctx.trace is not None:
            torch.stack([state[0] for state in ctx.states[1:]], dim=1, out=ctx.trace.states)
        needed = ctx.needs_input_grad[7 : 7 + len(zero)]  # a start that depends on the weights
        of_start = [
            times_power_of_two_(part.clone(), running.exponent) if wanted else None
            for part, wanted in zip(running.parts, needed, strict=True)
        ]
        return (None,) * 7 + (*of_start, *sums)


def _step_back(
    cell: Cell, weights: Mapping[str, Tensor], state: State, input: Tensor, step: int, running: RunningGradient
) -> list[Tensor]:
    """Take `running` over one step; the gradients of the weights that come from this step, at their true scale."""
    before = tuple(part.detach().requires_grad_() for part in state)
    with torch.enable_grad():
        after = cell.forward(weights, before, input)
        after = tuple(part if part.requires_grad else part + 0 * before[0] for part in after)
        leaves = [*after, *before, *weights.values()]
        found = torch.autograd.grad(after, leaves, running.parts, allow_unused=True, materialize_grads=True)
    parts = len(before)
    of_weights = list(found[2 * parts :])
    if running.scaled:
        of_weights = [times_power_of_two_(gradient.clone(), running.exponent) for gradient in of_weights]
    running.advance(step, found[:parts], found[parts : 2 * parts])
    return of_weights
