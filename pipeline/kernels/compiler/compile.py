"""From a cell to its passes: traced, lowered, compared with the cell itself, and written as C++ where that can be."""

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels.compiler import replay
from pipeline.kernels.compiler.emit import emit
from pipeline.kernels.compiler.ir import Leaf
from pipeline.kernels.compiler.leaves import Leaves
from pipeline.kernels.compiler.lower import lower
from pipeline.kernels.compiler.plan import plan
from pipeline.kernels.compiler.tables import total
from pipeline.kernels.compiler.trace import Unsupported
from pipeline.kernels.program import Program, Weights


class Compiled(NamedTuple):
    """What there is for a cell; None where it cannot be had, and the reason."""

    leaves: Leaves | None
    graph: replay.Program | None
    native: Program | None
    reason: str | None

    def replayed(self, weights: Weights) -> tuple[replay.Program, list[Tensor]]:
        """Return the graph to be run, and its leaves from these weights."""
        assert self.graph is not None
        assert self.leaves is not None
        return self.graph, self.leaves.matrices({name: contiguous(weight) for name, weight in weights.items()})


_remembered: dict[int, tuple["weakref.ref[Cell]", dict[object, Compiled]]] = {}  # by the cell itself, not its settings


def compiled(cell: Cell, weights: Mapping[str, Tensor], channels: int) -> Compiled:
    """Return what there is for a cell with such weights; a cell is traced once for each shape of them."""
    shapes = tuple((name, tuple(weight.shape[1:])) for name, weight in weights.items())
    request = (shapes, channels, next(iter(weights.values())).dtype)
    seen, found = _remembered.get(id(cell), (None, {}))
    if seen is None or seen() is not cell:
        number, found = id(cell), {}
        _remembered[number] = (weakref.ref(cell, lambda _: _remembered.pop(number, None) and None), found)
    if request not in found:
        found[request] = _compiled(cell, *request)
    return found[request]


def _compiled(
    cell: Cell, shapes: tuple[tuple[str, tuple[int, ...]], ...], channels: int, dtype: torch.dtype
) -> Compiled:
    name = type(cell).__name__
    try:
        graph, step = lower(cell, dict(shapes), channels, dtype)
        leaves = Leaves.of(step, graph.leaves)
        program = replay.Program(graph)
        _compare(cell, dict(shapes), channels, leaves, program)
    except Unsupported as reason:
        return Compiled(None, None, None, f"cell {name} {reason}")
    try:
        made = plan(graph)
        text = emit(made)
    except Unsupported as reason:
        return Compiled(leaves, program, None, f"cell {name} {reason}")
    parts = tuple(total(made.blocks.widths(width)) for width in cell.widths)
    views = partial(_views, leaves, tuple(made.weights))
    if leaves.direct:
        uncovered = leaves.uncovered({key: prod(shape) for key, shape in shapes}, made.weights)
        native = Program(text.text, parts, text.kept, views, None, tuple(uncovered))
    else:
        uncovered = [_name(i) for i in range(len(graph.leaves)) if _partly(i, graph.leaves[i], made.weights)]
        derived = partial(_views_of_derived, tuple(made.weights))
        native = Program(text.text, parts, text.kept, derived, partial(_derive, leaves), tuple(uncovered))
    return Compiled(leaves, program, native, None)


def contiguous(weight: Tensor) -> Tensor:
    """Return the weight, copied if a replica's part of it is not contiguous."""
    return weight if weight[0].is_contiguous() else weight.contiguous()


def _name(index: int) -> str:
    return f"leaf{index}"


def _views(leaves: Leaves, wanted: tuple[Leaf, ...], weights: Weights) -> list[Tensor]:
    matrices = leaves.matrices(weights)
    return [matrices[leaf.index][:, leaf.first : leaf.first + leaf.rows] for leaf in wanted]


def _derive(leaves: Leaves, weights: Weights) -> dict[str, Tensor]:
    return {_name(index): matrix.contiguous() for index, matrix in enumerate(leaves.matrices(weights))}


def _views_of_derived(wanted: tuple[Leaf, ...], derived: Weights) -> list[Tensor]:
    return [derived[_name(leaf.index)][:, leaf.first : leaf.first + leaf.rows] for leaf in wanted]


def _partly(index: int, shape: tuple[int, int], wanted: list[Leaf]) -> bool:
    """Return True unless the wanted rows are all of the leaf."""
    return sum(leaf.rows for leaf in set(wanted) if leaf.index == index) < shape[0]


def _compare(
    cell: Cell, shapes: Mapping[str, tuple[int, ...]], channels: int, leaves: Leaves, program: replay.Program
) -> None:
    """Raise Unsupported unless a step of the graph is a step of the cell: three replicas, numbers of both signs."""
    random = torch.Generator().manual_seed(1)
    draw: Callable[..., Tensor] = partial(torch.randn, generator=random, dtype=torch.float64)
    for scale in (0.3, 2.0):
        weights = {name: scale * draw(3, *shape) for name, shape in shapes.items()}
        state = tuple(scale * draw(3, 4, width) for width in cell.widths)
        input = scale * draw(3, 4, channels)
        upstream = [draw(3, 4, width) for width in cell.widths]
        with torch.no_grad():
            run = replay.Run(program, leaves.matrices(weights))
            after, values = run.step(state, input)
            back = run.back(values, state, input, upstream)
            before = [back[id(x)].expand_as(part) for x, part in zip(program.graph.before, state, strict=True)]
        started = tuple(part.clone().requires_grad_() for part in state)
        with torch.enable_grad():
            truth = cell.forward(weights, started, input)
            loss = torch.stack([(part * g).sum() for part, g in zip(truth, upstream, strict=True)]).sum()
            wanted = torch.autograd.grad(loss, started, allow_unused=True)
        expected = [torch.zeros_like(x) if part is None else part for x, part in zip(state, wanted, strict=True)]
        for one, other in zip([*after, *before], [*truth, *expected], strict=True):
            if not torch.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True):
                raise Unsupported("does more than its graph tells: its step depends on what was not traced")
