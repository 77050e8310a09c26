"""A call of an ATen operator, as the rules see it, and the nodes that all of them make, each in its simplest form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline.kernels.compiler.ir import Graph, Leaf, Node
from pipeline.kernels.compiler.trace import Call


@dataclass(frozen=True)
class Context:
    """Where a call stands."""

    graph: Graph
    row: Callable[[Any], Node]  # the node of an argument
    width: int  # of the result
    call: Call


@dataclass(frozen=True, eq=False)
class Again:
    """A call made once more on other rows, in the order in which it read tensors."""

    call: Call

    def __call__(self, *rows: Tensor) -> Any:
        waiting = iter(rows)
        return self.call.again(lambda _: next(waiting))

    @property
    def name(self) -> str:
        return self.call.name


Rule = Callable[..., Any]
Number = float | int


def _is(node: Node, value: Number) -> bool:
    return node.op == "constant" and node.data == value


def add(graph: Graph, x: Node, y: Node) -> Node:
    """Return x + y."""
    width = max(x.width, y.width)
    if _is(x, 0) and y.width == width:
        return y
    if _is(y, 0) and x.width == width:
        return x
    if y.op == "neg":
        return subtract(graph, x, y.arguments[0])
    if x.op == "neg":
        return subtract(graph, y, x.arguments[0])
    return graph.node("add", (x, y), width)


def subtract(graph: Graph, x: Node, y: Node) -> Node:
    """Return x - y; g a - g b is g (a - b)."""
    width = max(x.width, y.width)
    if _is(y, 0) and x.width == width:
        return x
    if x.op == y.op == "mul":
        for g, a in (x.arguments, x.arguments[::-1]):
            for other, b in (y.arguments, y.arguments[::-1]):
                if g is other and max(a.width, b.width) == width:
                    return multiply(graph, g, graph.node("sub", (a, b), width))
    return graph.node("sub", (x, y), width)


def multiply(graph: Graph, x: Node, y: Node) -> Node:
    """Return x y; a mask counts as 0 and 1."""
    width = max(x.width, y.width)
    x, y = number(graph, x), number(graph, y)
    if _is(x, 1) and y.width == width:
        return y
    if _is(y, 1) and x.width == width:
        return x
    return graph.node("mul", (x, y), width)


def number(graph: Graph, x: Node) -> Node:
    """Return x, a mask as 0 and 1."""
    return graph.node("where", (x, graph.constant(1.0), graph.constant(0.0)), x.width) if x.mask else x


def part(graph: Graph, x: Node, begin: int, width: int) -> Node:
    """Return columns `begin` to `begin + width - 1` of x."""
    if width == x.width:
        return x
    if x.op == "constant":
        return graph.constant(x.data, width)
    if x.op == "product_t":
        return graph.node("product_t", x.arguments, width, Leaf(x.data.index, x.data.first + begin, width))
    if x.op == "cat":
        at = 0
        for piece in x.arguments:
            if at <= begin and begin + width <= at + piece.width:
                return part(graph, piece, begin - at, width)
            at += piece.width
    return graph.node("slice", (x,), width, begin)
