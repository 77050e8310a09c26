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
        ("norms", ctypes.c_void_p),
        ("floor", ctypes.c_double),
    ]

    def point(self, **tensors: Tensor | None) -> None:
        """Set pointers; the tensors must be contiguous and outlive the call."""
        for name, tensor in tensors.items():
            setattr(self, name, None if tensor is None else tensor.data_ptr())


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
) -> Float[Tensor, "replica outputs batch hidden"]:
    """The first part of the state after each of the last `outputs` steps. See kernels/unroll.py."""
    tensors = [weights[name].contiguous() for name in NAMES]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: Tensor = _Unroll.apply(cell, inputs, outputs, norms, threads, *tensors)  # type: ignore[no-untyped-call]
        return result
    problem, inputs = _problem(cell, inputs, outputs, threads, tensors)
    workspace, out = _forward(problem, cell, tensors[0], None)
    workspace.give_back()
    return out


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cell: Cell, inputs: Tensor, outputs: int, norms: Norms | None, threads: int, *tensors: Tensor
    ) -> Float[Tensor, "replica outputs batch hidden"]:
        ctx.cell, ctx.norms, ctx.owner = cell, norms, object()
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
        problem.point(**{f"d_{name}": tensor for name, tensor in zip(NAMES, found, strict=True)}, upstream=gradient)
        names = () if ctx.norms is None else ctx.cell.states
        noted = torch.empty(len(names), problem.replicas, problem.time, dtype=torch.float64)
        problem.point(norms=noted if names else None)
        _function("backward", gradient)(ctypes.byref(problem))
        for name, norm in zip(names, noted, strict=True):
            ctx.norms[name].copy_(norm)
        ctx.workspace.give_back()
        return (None,) * 5 + tuple(found)


def _problem(
    cell: Cell, inputs: Tensor, outputs: int, threads: int, tensors: Sequence[Tensor]
) -> tuple[Problem, Tensor]:
    """The sizes, weights and inputs; and the inputs as they are pointed to."""
    shared = inputs.stride(0) == 0  # the same for all replicas: one copy serves
    inputs = (inputs[:1] if shared else inputs).contiguous()
    problem = Problem(cell=CELLS[type(cell)], floor=FLOOR, outputs=outputs, threads=threads)
    problem.replicas, problem.channels, problem.hidden = len(tensors[0]), tensors[0].shape[-1], cell.hidden
    problem.time, problem.batch = inputs.shape[1:3]
    problem.token_bytes = 0 if inputs.dtype.is_floating_point else inputs.element_size()
    problem.input_stride = 0 if shared else inputs[0].numel()
    problem.point(**dict(zip(NAMES, tensors, strict=True)), inputs=inputs)
    return problem, inputs


def _forward(problem: Problem, cell: Cell, like: Tensor, owner: object | None) -> tuple[Workspace, Tensor]:
    """Run it, and keep the states for a backward pass if there is an owner; the memory in use, and the outputs."""
    replicas, rows = problem.replicas, (problem.batch, problem.hidden)
    shapes: list[tuple[int, ...]] = [
        (min(problem.threads, replicas), _function("scratch", like)(ctypes.byref(problem)))
    ]
    if owner is not None:
        shapes.append((replicas, problem.time + 1, *rows))
        shapes.append((replicas, problem.time, problem.batch, KEPT[type(cell)] * cell.hidden))
        shapes += [shapes[1]] * (len(cell.states) - 1)
    workspace = lend(owner, shapes, like.dtype, like.device)
    parts = dict(zip(("scratch", "h", "kept", "c"), workspace.split(shapes), strict=False))
    out = like.new_empty(replicas, problem.outputs, *rows)
    problem.point(**parts, out=out)
    _function("forward", like)(ctypes.byref(problem))
    return workspace, out


def _function(name: str, like: Tensor) -> Any:
    """The library's function for this type of numbers."""
    library = build.library()
    assert library is not None, "the choice of this kernel makes sure of it"
    function = library[f"{name}_float32" if like.dtype == torch.float32 else f"{name}_float64"]
    function.restype = ctypes.c_long if name == "scratch" else None
    return function
