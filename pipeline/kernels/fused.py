"""Level 3: the passes of recurrence.cpp as an autograd function, for the tanh RNN, GRU and LSTM on the CPU."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from pipeline.kernels import build
from pipeline.kernels.scaling import FLOOR, Norms
from pipeline.kernels.trace import Trace
from pipeline.kernels.workspace import Workspace, lend

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CELLS: Mapping[type[Cell], int] = {RNN: 0, GRU: 1, LSTM: 2}  # as recurrence.cpp numbers them
KEPT: Mapping[type[Cell], int] = {RNN: 0, GRU: 4, LSTM: 4}  # what a step leaves for the way back, in units of H


class Problem(ctypes.Structure):
    """The struct of this name in recurrence.cpp, which says what the fields are."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("cell", "replicas", "time", "batch", "channels", "hidden", "outputs")),
        *((name, ctypes.c_long) for name in ("threads", "token_bytes", "input_stride")),
        *((name, ctypes.c_void_p) for name in (*NAMES, "inputs", "h", "c", "kept", "scratch", "out", "upstream")),
        *((f"d_{name}", ctypes.c_void_p) for name in NAMES),
        ("norms_h", ctypes.c_void_p),
        ("norms_c", ctypes.c_void_p),
        ("floor", ctypes.c_double),
        ("states", ctypes.c_void_p),
        ("errors", ctypes.c_void_p),
    ]


def available() -> bool:
    """Whether the passes are compiled; the first call compiles them."""
    return build.library() is not None


def unroll(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Shaped[Tensor, "replica time batch ..."],
    outputs: int,
    norms: Norms | None,
    threads: int,
    trace: Trace | None = None,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """The first part of the state after each of the last `outputs` steps. See kernels/unroll.py."""
    tensors = [weights[name].contiguous() for name in NAMES]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: Tensor = _Unroll.apply(  # type: ignore[no-untyped-call]
            cell, inputs, outputs, norms, trace, threads, *tensors
        )
        return result
    problem, inputs = _problem(cell, inputs, outputs, threads, tensors)
    workspace, out = _forward(problem, cell, tensors[0], None)
    workspace.give_back()
    return out


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        inputs: Tensor,
        outputs: int,
        norms: Norms | None,
        trace: Trace | None,
        threads: int,
        *tensors: Tensor,
    ) -> Float[Tensor, "replica outputs batch hidden"]:
        ctx.cell, ctx.norms, ctx.trace, ctx.owner = cell, norms, trace, object()
        ctx.problem, inputs = _problem(cell, inputs, outputs, threads, tensors)
        ctx.save_for_backward(*tensors, inputs)
        ctx.workspace, out = _forward(ctx.problem, cell, tensors[0], ctx.owner)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ctx.workspace.check(ctx.owner)
        problem, gradient, (*tensors, _) = ctx.problem, gradient.contiguous(), ctx.saved_tensors
        found = [torch.empty_like(tensor) for tensor in tensors]
        problem.d_weight_ih, problem.d_weight_hh, problem.d_bias_ih, problem.d_bias_hh = map(Tensor.data_ptr, found)
        problem.upstream = gradient.data_ptr()
        noted = {name: norm.to(gradient.dtype).contiguous() for name, norm in (ctx.norms or {}).items()}
        problem.norms_h, problem.norms_c = (noted[name].data_ptr() if name in noted else None for name in ("h", "c"))
        if ctx.trace is not None:
            problem.states, problem.errors = ctx.trace.states.data_ptr(), ctx.trace.errors.data_ptr()
        _function("backward", gradient.dtype)(ctypes.byref(problem))
        for name, norm in noted.items():
            if norm is not ctx.norms[name]:
                ctx.norms[name].copy_(norm)
        ctx.workspace.give_back()
        return (None,) * 6 + tuple(found)


def _problem(
    cell: Cell, inputs: Tensor, outputs: int, threads: int, tensors: Sequence[Tensor]
) -> tuple[Problem, Tensor]:
    """The sizes, weights and inputs; and the inputs as they are pointed to."""
    shared = inputs.stride(0) == 0  # the same for all replicas: one copy serves
    inputs = (inputs[:1] if shared else inputs).contiguous()
    _, time, batch = inputs.shape[:3]
    replicas, _, channels = tensors[0].shape
    token_bytes = 0 if inputs.dtype.is_floating_point else inputs.element_size()
    stride = 0 if shared else inputs.stride(0)
    sizes = (CELLS[type(cell)], replicas, time, batch, channels, cell.hidden, outputs, threads, token_bytes, stride)
    return Problem(*sizes, *map(Tensor.data_ptr, tensors), inputs.data_ptr(), floor=FLOOR), inputs


def _forward(problem: Problem, cell: Cell, like: Tensor, owner: object | None) -> tuple[Workspace, Tensor]:
    """Run it, and keep the states for a backward pass if there is an owner; the memory in use, and the outputs."""
    replicas, time, batch, hidden = problem.replicas, problem.time, problem.batch, cell.hidden
    scratch = _function("scratch", like.dtype)(ctypes.byref(problem))
    shapes: list[tuple[int, ...]] = [(min(problem.threads, replicas), scratch)]
    if owner is not None:
        shapes.append((replicas, time + 1, batch, hidden))
        shapes.append((replicas, time, batch, KEPT[type(cell)] * hidden))
        shapes += [shapes[1]] * (len(cell.states) - 1)
    workspace = lend(owner, shapes, like.dtype, like.device)
    for name, pointer in zip(("scratch", "h", "kept", "c"), workspace.pointers(shapes), strict=False):
        setattr(problem, name, pointer)
    out = like.new_empty(replicas, problem.outputs, batch, hidden)
    problem.out = out.data_ptr()
    _function("forward", like.dtype)(ctypes.byref(problem))
    return workspace, out


def _function(name: str, dtype: torch.dtype) -> Any:
    """The library's function for this type of numbers."""
    return getattr(build.library(), f"{name}_float32" if dtype == torch.float32 else f"{name}_float64")
