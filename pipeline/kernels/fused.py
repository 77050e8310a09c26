"""Level 3: the passes of recurrence.cpp for the tanh RNN, GRU and LSTM on the CPU; also as an autograd function."""

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
from pipeline.kernels.workspace import Trace, Workspace, lend

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CELLS: Mapping[type[Cell], int] = {RNN: 0, GRU: 1, LSTM: 2}  # as recurrence.cpp numbers them
KEPT: Mapping[type[Cell], int] = {RNN: 0, GRU: 4, LSTM: 4}  # what a step leaves for the way back, in units of H


class Problem(ctypes.Structure):
    """The struct of this name in recurrence.cpp, which says what the fields are."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("cell", "replicas", "time", "batch", "channels", "hidden", "outputs")),
        *((name, ctypes.c_long) for name in ("threads", "token_bytes", "input_stride")),
        *((name, ctypes.c_void_p) for name in NAMES),
        ("strides", ctypes.c_long * len(NAMES)),
        *((name, ctypes.c_void_p) for name in ("inputs", "h", "c", "kept", "scratch", "out", "upstream")),
        *((f"d_{name}", ctypes.c_void_p) for name in NAMES),
        ("d_strides", ctypes.c_long * len(NAMES)),
        ("norms_h", ctypes.c_void_p),
        ("norms_c", ctypes.c_void_p),
        ("floor", ctypes.c_double),
        ("states", ctypes.c_void_p),
        ("errors", ctypes.c_void_p),
    ]


def available() -> bool:
    """Whether the passes are compiled; the first call compiles them."""
    return build.library() is not None


class Passes:
    """A forward pass and the backward pass through it. Weights are read, and gradients written, where they lie.

    A weight may be a view whose replicas are far apart, as in rows that hold all weights of a replica; inside a replica
    it is contiguous.
    """

    def __init__(
        self,
        cell: Cell,
        weights: Mapping[str, Float[Tensor, "replica ..."]],
        inputs: Shaped[Tensor, "replica time batch ..."],
        outputs: int,
        threads: int,
    ) -> None:
        shared = inputs.stride(0) == 0  # the same for all replicas: one copy serves
        inputs = (inputs[:1] if shared else inputs).contiguous()
        tensors = [_dense(weights[name]) for name in NAMES]
        _, time, batch = inputs.shape[:3]
        replicas, _, channels = tensors[0].shape
        token_bytes = 0 if inputs.dtype.is_floating_point else inputs.element_size()
        stride = 0 if shared else inputs.stride(0)
        sizes = (CELLS[type(cell)], replicas, time, batch, channels, cell.hidden, outputs, threads, token_bytes, stride)
        self.problem = Problem(*sizes, *map(Tensor.data_ptr, tensors), _strides(tensors), inputs.data_ptr())
        self.problem.floor = FLOOR
        self.cell, self.like, self.alive = cell, tensors[0], (inputs, *tensors)  # alive: what is pointed to
        self.workspace: Workspace | None = None
        self.owner = object()  # of the workspace; not this object, or both would outlive their use as a cycle

    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        """The outputs; `keep` what a backward pass needs."""
        problem, like, hidden = self.problem, self.like, self.cell.hidden
        replicas, time, batch = problem.replicas, problem.time, problem.batch
        scratch = _function("scratch", like.dtype)(ctypes.byref(problem))
        shapes: list[tuple[int, ...]] = [(min(problem.threads, replicas), scratch)]
        if keep:
            shapes.append((replicas, time + 1, batch, hidden))
            shapes.append((replicas, time, batch, KEPT[type(self.cell)] * hidden))
            shapes += [shapes[1]] * (len(self.cell.states) - 1)
        workspace = lend(self.owner, shapes, like.dtype, like.device)
        for name, pointer in zip(("scratch", "h", "kept", "c"), workspace.pointers(shapes), strict=False):
            setattr(problem, name, pointer)
        out = like.new_empty(replicas, problem.outputs, batch, hidden)
        problem.out = out.data_ptr()
        _function("forward", like.dtype)(ctypes.byref(problem))
        if keep:
            self.workspace = workspace
        else:
            workspace.give_back()
        return out

    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Mapping[str, Float[Tensor, "replica ..."]],
        norms: Norms | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Write dL/d(weights) into `gradient`, whose tensors lie like weights, and fill `norms` and `trace`.

        Raises RuntimeError where the memory of the forward pass serves a later one by now.
        """
        assert self.workspace is not None, "forward(keep=True) comes first"
        self.workspace.check(self.owner)
        problem, upstream, found = self.problem, upstream.contiguous(), [gradient[name] for name in NAMES]
        assert all(_dense(tensor) is tensor for tensor in found), "a replica's part of a gradient is contiguous"
        problem.d_weight_ih, problem.d_weight_hh, problem.d_bias_ih, problem.d_bias_hh = map(Tensor.data_ptr, found)
        problem.d_strides, problem.upstream = _strides(found), upstream.data_ptr()
        noted = {name: norm.to(upstream.dtype).contiguous() for name, norm in (norms or {}).items()}
        problem.norms_h, problem.norms_c = (noted[name].data_ptr() if name in noted else None for name in ("h", "c"))
        if trace is not None:
            problem.states, problem.errors = trace.states.data_ptr(), trace.errors.data_ptr()
        _function("backward", upstream.dtype)(ctypes.byref(problem))
        for name, norm in (norms or {}).items():
            if noted[name] is not norm:
                norm.copy_(noted[name])
        self.workspace.give_back()


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
    tensors = [weights[name] for name in NAMES]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: Tensor = _Unroll.apply(  # type: ignore[no-untyped-call]
            cell, inputs, outputs, norms, trace, threads, *tensors
        )
        return result
    return Passes(cell, weights, inputs, outputs, threads).forward(keep=False)


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
        ctx.save_for_backward(*tensors)  # so that autograd notices where one is changed before the backward pass
        ctx.passes, ctx.norms, ctx.trace = Passes(cell, _named(tensors), inputs, outputs, threads), norms, trace
        result: Tensor = ctx.passes.forward(keep=True)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in ctx.saved_tensors]
        ctx.passes.backward(upstream, _named(found), ctx.norms, ctx.trace)
        return (None,) * 6 + tuple(found)


def _named(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return dict(zip(NAMES, tensors, strict=True))


def _dense(weight: Float[Tensor, "replica ..."]) -> Float[Tensor, "replica ..."]:
    """The weight, copied where a replica's part of it is not contiguous."""
    return weight if weight[0].is_contiguous() else weight.contiguous()


def _strides(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_long * len(NAMES))(*(tensor.stride(0) for tensor in tensors))


def _function(name: str, dtype: torch.dtype) -> Any:
    """The library's function for this type of numbers."""
    return getattr(build.library(), f"{name}_float32" if dtype == torch.float32 else f"{name}_float64")
