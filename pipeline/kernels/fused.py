"""Level 3: a cell's passes in C++ on the CPU; also as an autograd function."""

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.kernels import build
from pipeline.kernels.program import Program
from pipeline.kernels.scaling import FLOOR, Norms
from pipeline.kernels.workspace import Trace, Workspace, lend

Weights = Mapping[str, Float[Tensor, "replica ..."]]
Leaf = Float[Tensor, "replica _ _"]  # a matrix or, with one row, a bias; see program.py


class Weight(ctypes.Structure):
    """The struct of this name in native/problem.h, which says what the fields are."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("data", "gradient")),
        *((name, ctypes.c_long) for name in ("stride", "d_stride", "row", "column")),
    ]


class Problem(ctypes.Structure):
    """The struct of this name in native/problem.h, which says what the fields are."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("replicas", "time", "batch", "channels", "hidden", "outputs")),
        *((name, ctypes.c_long) for name in ("threads", "token_bytes", "input_stride")),
        *((name, ctypes.c_void_p) for name in ("weights", "inputs", "parts", "kept", "scratch", "out", "upstream")),
        ("norms", ctypes.c_void_p),
        ("floor", ctypes.c_double),
        ("states", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("errors", "start", "d_start")),
    ]


class Passes(ABC):
    """A forward pass and the backward pass through it, without autograd."""

    @abstractmethod
    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        """Return the outputs; `keep` what a backward pass needs."""

    @abstractmethod
    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Weights,
        norms: Norms | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Write dL/d(weights) into `gradient`, whose tensors lie like weights, and fill `norms` and `trace`.

        Raises RuntimeError where the memory of the forward pass serves a later one by now.
        """


@final
class NativePasses(Passes):
    """The passes in C++. Weights are read, and gradients written, where they lie.

    A weight may be a view whose replicas are far apart, as in rows that hold all weights of a replica; inside a replica
    it is contiguous.
    """

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
        shared = inputs.stride(0) == 0  # the same for all replicas: one copy serves
        inputs = (inputs[:1] if shared else inputs).contiguous()
        dense = {name: _dense(weight) for name, weight in weights.items()}
        leaves, self.like = program.leaves(dense), next(iter(dense.values()))
        self.weights = (Weight * len(leaves))(*(Weight(*_described(leaf)) for leaf in leaves))
        _, time, batch = inputs.shape[:3]
        token_bytes = 0 if inputs.dtype.is_floating_point else inputs.element_size()
        stride, replicas = 0 if shared else inputs.stride(0), len(self.like)
        sizes = (replicas, time, batch, channels, cell.hidden, outputs, threads, token_bytes, stride)
        self.problem = Problem(*sizes, ctypes.addressof(self.weights), inputs.data_ptr())
        self.problem.floor = FLOOR
        begun = [part.contiguous() for part in start or ()]
        self.start = (ctypes.c_void_p * len(begun))(*map(Tensor.data_ptr, begun))
        self.problem.start = ctypes.addressof(self.start) if begun else None
        self.cell, self.program = cell, program
        self.alive = (inputs, *leaves, *begun)  # what is pointed to
        native = build.passes(program.source, self.like.dtype)
        assert native is not None, "programs that cannot be built are not run"
        self.native = native
        self.workspace: Workspace | None = None
        self.owner = object()  # of the workspace; not this object, or both would outlive their use as a cycle

    def forward(self, keep: bool) -> Float[Tensor, "replica outputs batch hidden"]:
        problem, like, parts = self.problem, self.like, len(self.program.parts)
        replicas, time, batch, hidden = problem.replicas, problem.time, problem.batch, problem.hidden
        widths = [size.of(hidden) for size in self.program.parts]
        scratch = self.native.scratch(ctypes.byref(problem))
        shapes: list[tuple[int, ...]] = [(min(problem.threads, replicas), scratch)]
        if keep:
            shapes.append((replicas, time, batch, self.program.kept.of(hidden)))
            shapes += [(replicas, time + 1, batch, width) for width in widths]
        workspace = lend(self.owner, shapes, like.dtype, like.device)
        problem.scratch, *kept = workspace.pointers(shapes)
        if keep:
            problem.kept, self.parts = kept[0], (ctypes.c_void_p * parts)(*kept[1:])
            problem.parts = ctypes.addressof(self.parts)
        out = like.new_empty(replicas, problem.outputs, batch, widths[0])
        problem.out = out.data_ptr()
        self.native.forward(ctypes.byref(problem))
        if keep:
            self.workspace = workspace
        else:
            workspace.give_back()
        return out

    def backward(
        self,
        upstream: Float[Tensor, "replica outputs batch hidden"],
        gradient: Weights,
        norms: Norms | None = None,
        trace: Trace | None = None,
        of_start: State | None = None,
    ) -> None:
        """Do as `Passes` says; `of_start` takes dL/d(state before the first step), where it is no zero state."""
        assert self.workspace is not None, "forward(keep=True) comes first"
        self.workspace.check(self.owner)
        assert all(_dense(tensor) is tensor for tensor in gradient.values()), "a replica's gradient is contiguous"
        for name in self.program.uncovered:
            gradient[name].zero_()
        problem, upstream = self.problem, upstream.contiguous()
        leaves = self.program.leaves(gradient)
        for weight, leaf in zip(self.weights, leaves, strict=True):
            weight.gradient, weight.d_stride = leaf.data_ptr(), leaf.stride(0)
        problem.upstream = upstream.data_ptr()
        noted = [norms[name].to(upstream.dtype).contiguous() for name in self.cell.states] if norms else []
        pointers = (ctypes.c_void_p * len(noted))(*map(Tensor.data_ptr, noted))
        problem.norms = ctypes.addressof(pointers) if noted else None
        if trace is not None:
            problem.states, problem.errors = trace.states.data_ptr(), trace.errors.data_ptr()
        begun = (ctypes.c_void_p * len(of_start or ()))(*map(Tensor.data_ptr, of_start or ()))
        problem.d_start = ctypes.addressof(begun) if of_start else None
        self.native.backward(ctypes.byref(problem))
        for name, norm in zip(self.cell.states, noted, strict=False):
            if norms is not None and norms[name] is not norm:
                norms[name].copy_(norm)
        self.workspace.give_back()


def unroll(
    cell: Cell,
    program: Program,
    weights: Weights,
    inputs: Shaped[Tensor, "replica time batch ..."],
    channels: int,
    outputs: int,
    norms: Norms | None,
    threads: int,
    trace: Trace | None = None,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs with a graph; see kernels/unroll.py."""
    start = () if cell.initial(weights) is None else cell.start(weights, inputs.shape[2])
    weights = program.derive(weights) if program.derive else weights
    request = (cell, program, tuple(weights), inputs, channels, outputs, norms, threads, trace)
    result: Tensor = _Unroll.apply(*request, *weights.values(), *start)  # type: ignore[no-untyped-call]
    return result


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        program: Program,
        names: Sequence[str],
        inputs: Tensor,
        channels: int,
        outputs: int,
        norms: Norms | None,
        threads: int,
        trace: Trace | None,
        *tensors: Tensor,
    ) -> Float[Tensor, "replica outputs batch hidden"]:
        ctx.save_for_backward(*tensors)  # so that autograd notices where one is changed before the backward pass
        weights, start = dict(zip(names, tensors, strict=False)), tensors[len(names) :]
        ctx.passes = NativePasses(cell, program, weights, inputs, channels, outputs, threads, start)
        ctx.names, ctx.norms, ctx.trace = names, norms, trace
        result: Tensor = ctx.passes.forward(keep=True)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in ctx.saved_tensors]
        weights, start = dict(zip(ctx.names, found, strict=False)), tuple(found[len(ctx.names) :])
        ctx.passes.backward(upstream, weights, ctx.norms, ctx.trace, start)
        return (None,) * 9 + tuple(found)


def _dense(weight: Float[Tensor, "replica ..."]) -> Float[Tensor, "replica ..."]:
    """Return the weight, copied if a replica's part of it is not contiguous."""
    return weight if weight[0].is_contiguous() else weight.contiguous()


def _described(leaf: Leaf) -> tuple[int | None, ...]:
    return leaf.data_ptr(), None, leaf.stride(0), 0, leaf.stride(1), leaf.stride(2)
