"""A step of a cell as a graph of rows: each node is [batch, width], one row for each sequence.

Nodes are made once each (`Graph.node`), so equal computations are one node. The operators:

    state(i) input() upstream(i)      what comes in; upstream is dL/d(part i after the step)
    vector(leaf)                      a row of weights, the same for every sequence
    constant(number)
    product(x, leaf) product_t(x, leaf)    x times a matrix of weights, or times its transpose
    slice(x, begin) cat(x, ...) expand(x)  parts of rows, rows side by side, one number for all units
    repeat(x, n) tile(x, n)           each number n times, or the row n times; see cubes.py
    sum_inner(x, n) sum_outer(x, n)   over n numbers that stand together, or over n rows side by side
    sum(x) max(x)                     over the units of a row, to a width of 1
    everything else                   number by number; POINTWISE has those that can be written as C++
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

CUBES = ("repeat", "tile", "sum_inner", "sum_outer")
MASKS = ("gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not")

POINTWISE: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "abs": torch.abs,
    "sign": torch.sign,
    "relu": torch.relu,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": torch.where,
    "sigmoid_backward": torch.ops.aten.sigmoid_backward,
    "tanh_backward": torch.ops.aten.tanh_backward,
    "gt": torch.gt,
    "ge": torch.ge,
    "lt": torch.lt,
    "le": torch.le,
    "eq": torch.eq,
    "ne": torch.ne,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
}


@dataclass(frozen=True)
class Leaf:
    """Rows `first` to `first + rows - 1` of a leaf; a vector has one row."""

    index: int
    first: int
    rows: int


class Node:
    """A row of numbers for each sequence; never changed."""

    def __init__(self, op: str, arguments: tuple["Node", ...], width: int, data: Any = None):
        self.op, self.arguments, self.width = op, arguments, width
        self.data = data  # the number of a part, a leaf, a constant, where a slice begins

    @property
    def mask(self) -> bool:
        return self.op in MASKS

    def __repr__(self) -> str:
        return f"{self.op}[{self.data}] of {', '.join(argument.op for argument in self.arguments)}"


@dataclass(frozen=True)
class Outer:
    """dL/d(matrix), from row `first` on, += x' gradient, summed over the sequences."""

    x: Node
    gradient: Node
    first: int = 0


@dataclass(frozen=True)
class Total:
    """dL/d(vector) += gradient, summed over the sequences; over the units also, where the weight is one number."""

    gradient: Node
    single: bool = False


Contribution = Outer | Total


@dataclass
class Graph:
    """A step, and its way back."""

    hidden: int
    channels: int
    parts: list[int]  # the width of each part of the state
    leaves: list[tuple[int, int]]  # [rows, columns] of each
    after: list[Node] = field(default_factory=list)
    totals: list[Node] = field(default_factory=list)
    before: list[Node] = field(default_factory=list)
    of_leaves: list[list[Contribution]] = field(default_factory=list)
    known: dict[Any, Node] = field(default_factory=dict)

    def node(self, op: str, arguments: Sequence[Node] = (), width: int | None = None, data: Any = None) -> Node:
        """Return the one node of this kind."""
        if width is None:
            width = max(argument.width for argument in arguments)
        name = (op, tuple(map(id, arguments)), width, data)
        if name not in self.known:
            self.known[name] = Node(op, tuple(arguments), width, data)
        return self.known[name]

    def constant(self, value: float | int, width: int = 1) -> Node:
        return self.node("constant", (), width, float(value))

    def roots(self) -> list[Node]:
        """Return all that the step and its way back are for."""
        found = [*self.after, *self.totals, *self.before]
        for contributions in self.of_leaves:
            for each in contributions:
                found += [each.x, each.gradient] if isinstance(each, Outer) else [each.gradient]
        return found


def ordered(roots: Sequence[Node]) -> list[Node]:
    """Return the roots and all they need, each after its arguments."""
    found: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in found:
            for argument in node.arguments:
                visit(argument)
            found[id(node)] = node

    for root in roots:
        visit(root)
    return list(found.values())
