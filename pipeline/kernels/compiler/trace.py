"""Record which ATen calls a step of a cell makes, and which its backward pass makes.

The step is traced for one replica, on a batch whose size no weight has, so that the axis of the batch is known wherever
it comes. Calls that depend on weights alone (a transpose, the exponential of a matrix) belong to no step: their results
are the `leaves` that the step is differentiated by, and the way from weights to leaves is torch's, once a pass.

A tensor is known by where it lies: autograd hands out copies of the objects, not of the storage.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from pipeline.cells.cell import Cell

BATCHES = (61, 67, 71, 73, 79, 83, 89, 97, 101, 103)  # sequences of the traced step: one that no weight has as a size

Key = tuple[int, ...]
Shapes = Mapping[str, tuple[int, ...]]


class Unsupported(Exception):  # noqa: N818  a fallback, not an error
    """A cell that this level cannot serve; says why in words that follow the cell's name."""


def key(tensor: Tensor) -> Key:
    """Return what tells this tensor from all others that are alive."""
    layout = (*tensor.shape, *tensor.stride(), tensor.storage_offset())
    return (tensor.untyped_storage()._cdata, tensor.dim(), *layout)


@dataclass(frozen=True)
class Call:
    """One call of an operator."""

    operator: Any  # torch._ops.OpOverload
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    result: Any

    @property
    def name(self) -> str:
        """aten.mm.default, or aten.mm for short where there is no other."""
        return str(self.operator).removesuffix(".default")

    @property
    def tensors(self) -> list[Tensor]:
        return [item for item in tree_leaves((self.arguments, dict(self.keywords))) if isinstance(item, Tensor)]

    def again(self, replace: Callable[[Tensor], Tensor]) -> Any:
        """Make the call with other tensors."""
        arguments, keywords = tree_map(
            lambda item: replace(item) if isinstance(item, Tensor) else item, (self.arguments, dict(self.keywords))
        )
        return self.operator(*arguments, **keywords)


class Recorder(TorchDispatchMode):
    """Records every call, and refuses those that a graph cannot hold.

    The formulas of torch's derivatives change tensors of their own in place; a cell must not.
    """

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.in_place = in_place

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, or each call would first import torch._dynamo, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removesuffix(".default")
        if func._schema.is_mutable and not self.in_place:
            raise Unsupported(f"changes a tensor in place ({name})")
        if func is torch.ops.aten._local_scalar_dense.default:
            raise Unsupported("looks at a number (aten._local_scalar_dense)")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise Unsupported(f"draws random numbers ({name})")
        result = func(*args, **(kwargs or {}))
        self.calls.append(Call(func, args, kwargs or {}, result))
        return result


@dataclass
class Step:
    """A traced step: its calls forward and back, and the tensors that matter."""

    calls: list[Call]
    state: tuple[Tensor, ...]
    input: Tensor
    leaves: list[Tensor]
    after: tuple[Tensor, ...]
    upstream: tuple[Tensor, ...]  # dL/d(after), as the next step and the loss send it
    totals: tuple[Tensor | None, ...]  # dL/d(after) in full
    before: tuple[Tensor | None, ...]  # dL/d(state)
    of_leaves: tuple[Tensor | None, ...]
    prelude: "Prelude"


@dataclass
class Prelude:
    """The calls from weights to leaves."""

    names: tuple[str, ...]
    weights: list[Key]
    calls: list[Call]
    leaves: list[Tensor]
    dtype: torch.dtype  # of the trace

    def run(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Return the leaves of one replica."""
        found = dict(zip(self.weights, weights, strict=True))
        device = weights[0].device
        for call in self.calls:
            keywords = dict(call.keywords)
            if "device" in keywords:
                keywords["device"] = device
            if keywords.get("dtype") == self.dtype:
                keywords["dtype"] = weights[0].dtype
            again = Call(call.operator, call.arguments, keywords, None).again(lambda x: found.get(key(x), x))
            for old, new in zip(tree_leaves(call.result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor):
                    found[key(old)] = new
        return [found.get(key(leaf), leaf) for leaf in self.leaves]


def trace(cell: Cell, shapes: Shapes, channels: int, dtype: torch.dtype) -> Step:
    """Return the traced step of one replica whose weights have these shapes; raises Unsupported."""
    taken = {channels, cell.hidden, *cell.widths, *(size for shape in shapes.values() for size in shape)}
    batch = next((size for size in BATCHES if size not in taken), None)
    if batch is None:
        raise Unsupported("has weights of too many sizes")
    random = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=random, dtype=dtype) for name, shape in shapes.items()}
    state = tuple(torch.rand(batch, width, generator=random, dtype=dtype) for width in cell.widths)
    input = torch.rand(batch, channels, generator=random, dtype=dtype)
    recorder = Recorder()
    try:
        with torch.no_grad():
            cell.forward(weights, state, input)  # once without a trace: what a cell makes once is no part of its step
            with recorder:
                after = cell.forward(weights, state, input)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"cannot be traced: {str(error).strip().splitlines()[0]}") from error
    _check(cell, after, state)
    of_step = _dependent(recorder.calls, [*state, input])
    steps = [call for call, is_step in zip(recorder.calls, of_step, strict=True) if is_step]
    others = [call for call, is_step in zip(recorder.calls, of_step, strict=True) if not is_step]
    leaves = _leaves(steps, after, [*state, input])
    prelude = Prelude(tuple(weights), [key(weight) for weight in weights.values()], others, leaves, dtype)
    return _differentiated(steps, state, input, leaves, after, prelude)


def _check(cell: Cell, after: object, state: tuple[Tensor, ...]) -> None:
    if isinstance(after, tuple) and len(after) == len(state):
        kinds = [(part.shape, part.dtype) if isinstance(part, Tensor) else None for part in after]
        if kinds == [(part.shape, part.dtype) for part in state]:
            return
    raise Unsupported(f"returns no tuple of {len(state)} parts [batch, width] of the state's shapes and type")


def _results(calls: Sequence[Call]) -> list[Tensor]:
    return [item for call in calls for item in tree_leaves(call.result) if isinstance(item, Tensor)]


def _dependent(calls: Sequence[Call], roots: Sequence[Tensor]) -> list[bool]:
    """Return for each call whether it depends on the roots."""
    known, found = {key(root) for root in roots}, []
    for call in calls:
        depends = any(key(tensor) in known for tensor in call.tensors)
        found.append(depends)
        if depends:
            known |= {key(tensor) for tensor in _results([call])}
    return found


def _leaves(steps: Sequence[Call], after: Sequence[Tensor], rows: Sequence[Tensor]) -> list[Tensor]:
    """Return what the step reads besides state and input, each once."""
    made = {key(tensor) for tensor in [*rows, *_results(steps)]}
    if any(key(tensor) not in made for tensor in after):
        raise Unsupported("returns a part that does not depend on state and input")
    read = [tensor for call in steps for tensor in call.tensors]
    found = {key(tensor): tensor for tensor in read if key(tensor) not in made}
    return list(found.values())


class _Seed(torch.autograd.Function):
    """A loss whose gradient by the part is the one given: grad's own argument for it would import sympy."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return part.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient, None


def _differentiated(
    steps: Sequence[Call],
    state: tuple[Tensor, ...],
    input: Tensor,
    leaves: Sequence[Tensor],
    after: tuple[Tensor, ...],
    prelude: Prelude,
) -> Step:
    """Return the step and its backward pass, from the same calls made again under autograd."""
    fresh = [tensor.clone().requires_grad_() for tensor in (*state, *leaves)]
    known = {key(old): new for old, new in zip((*state, *leaves), fresh, strict=True)} | {key(input): input}
    before, new_leaves = fresh[: len(state)], fresh[len(state) :]
    upstream = tuple(torch.ones_like(part) for part in state)
    recorder = Recorder()
    try:
        with torch.enable_grad(), recorder:
            for call in steps:
                again = call.again(lambda x: known.get(key(x), x))
                for old, new in zip(tree_leaves(call.result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor):
                        known[key(old)] = new
            made = tuple(known[key(part)] for part in after)
            made = tuple(part if part.requires_grad else part + 0 * before[0] for part in made)
        with torch.enable_grad():
            seeds = [_Seed.apply(*pair) for pair in zip(made, upstream, strict=True)]  # type: ignore[no-untyped-call]
            loss = torch.stack(seeds).sum()
        recorder.in_place = True
        with recorder:
            found = torch.autograd.grad(loss, [*made, *before, *new_leaves], allow_unused=True)
    except RuntimeError as error:
        raise Unsupported(f"cannot be differentiated: {str(error).strip().splitlines()[0]}") from error
    parts = len(state)
    totals, back = tuple(found[:parts]), tuple(found[parts : 2 * parts])
    of_leaves = tuple(found[2 * parts :])
    return Step(
        recorder.calls, tuple(before), input, list(new_leaves), made, upstream, totals, back, of_leaves, prelude
    )
