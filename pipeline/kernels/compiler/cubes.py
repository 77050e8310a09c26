"""Tensors of three axes [batch, a, b], held as rows of a b numbers: a state that is a matrix for each sequence.

They are computed with number by number, summed over one of the two axes, and spread along it; in torch alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pipeline.kernels.compiler.calls import Context, multiply
from pipeline.kernels.compiler.ir import Graph, Node
from pipeline.kernels.compiler.trace import Call, Unsupported

SPREAD = ("repeat", "tile")


def has_three_axes(call: Call) -> bool:
    """Return True if the call reads or makes a tensor of three axes."""
    made = call.result if isinstance(call.result, Tensor) else None
    return any(tensor.dim() == 3 for tensor in [*call.tensors, *([] if made is None else [made])])


def spread(graph: Graph, x: Node, item: Any, shape: tuple[int, ...]) -> Node:
    """Return the row of a tensor as that of one with this shape, as torch broadcasts it."""
    if not isinstance(item, Tensor) or x.width == 1 or len(shape) != 3:
        return x
    _, a, b = (*(1,) * (3 - item.dim()), *item.shape)
    if (a, b) == shape[1:]:
        return x
    if b == 1 and a == shape[1]:
        return graph.node("repeat", (x,), shape[1] * shape[2], shape[2])
    if a == 1 and b == shape[2]:
        return graph.node("tile", (x,), shape[1] * shape[2], shape[1])
    raise Unsupported(f"spreads [{a}, {b}] to [{shape[1]}, {shape[2]}]")


def across(c: Context, name: str) -> Node:
    """Return the node of a call that is no function number by number."""
    x = c.call.arguments[0]
    if name == "expand":
        return spread(c.graph, c.row(x), x, tuple(c.call.result.shape))
    axes = c.call.arguments[1] if len(c.call.arguments) > 1 else None
    named = [axes] if isinstance(axes, int) else axes
    if name not in ("sum", "mean") or not named or len(named) != 1 or named[0] % 3 == 0:
        raise Unsupported(f"uses {c.call.name} on tensors of three axes")
    inner = named[0] % 3 == 2
    row, (_, a, b) = c.row(x), x.shape
    found = c.graph.node("sum_inner" if inner else "sum_outer", (row,), a if inner else b, b if inner else a)
    return multiply(c.graph, found, c.graph.constant(1 / (b if inner else a))) if name == "mean" else found


def replayed(op: str, x: Tensor, count: int) -> Tensor:
    """Return what a node of this kind computes from a row."""
    if op == "repeat":
        return x.unsqueeze(-1).expand(*x.shape, count).flatten(-2)
    if op == "tile":
        return x.unsqueeze(-2).expand(*x.shape[:-1], count, x.shape[-1]).flatten(-2)
    summed: Tensor = x.unflatten(-1, (-1, count)).sum(-1) if op == "sum_inner" else x.unflatten(-1, (count, -1)).sum(-2)
    return summed


def computed(node: Node, rows: Sequence[Tensor], function: Callable[..., Tensor]) -> Tensor:
    """Return the row of a node some of whose arguments are spread; of those, `rows` has what they are made of."""
    first = next(argument for argument in node.arguments if argument.op in SPREAD)
    b = first.data if first.op == "repeat" else first.arguments[0].width
    arguments = []
    for argument, row in zip(node.arguments, rows, strict=True):
        if argument.op in SPREAD:
            row = row.unsqueeze(-1 if argument.op == "repeat" else -2)
        elif row.dim():
            row = row.unsqueeze(-1) if argument.width == 1 else row.unflatten(-1, (-1, b))
        arguments.append(row)
    found = function(*arguments)
    return found.expand(*found.shape[:-2], node.width // b, b).flatten(-2)
