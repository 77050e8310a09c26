"""ATen calls as nodes of the graph; what no rule knows is refused by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from pipeline.cells.cell import Cell
from pipeline.kernels.compiler import calls, cubes, elementwise, rules
from pipeline.kernels.compiler.ir import CUBES, Contribution, Graph, Leaf, Node, Outer, Total, ordered
from pipeline.kernels.compiler.trace import Call, Key, Shapes, Step, Unsupported, key, trace

VIEWS = ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "alias", "detach", "clone", "_reshape_alias")
TURNS = ("t", "transpose", "permute")


@dataclass(frozen=True)
class Refused:
    """The result of a call that no rule knows; an error only where somebody needs it."""

    reason: str


@dataclass(frozen=True)
class Transposed:
    """Rows or a matrix of weights, with the axes swapped."""

    value: "Node | Leaf | Sums"


@dataclass(frozen=True)
class Sums:
    """The gradient of a leaf, or a part of it: sums over the batch."""

    contributions: list[Contribution]


Value = Node | Leaf | Transposed | Sums | Refused


def lower(cell: Cell, shapes: Shapes, channels: int, dtype: torch.dtype) -> tuple[Graph, Step]:
    """Return the graph of a cell with weights of these shapes; raises Unsupported."""
    step = trace(cell, shapes, channels, dtype)
    return Lowering(step, cell, channels).run(), step


class Lowering:
    """Turns the calls of one step into nodes, in their order."""

    def __init__(self, step: Step, cell: Cell, channels: int):
        self.step, self.batch = step, len(step.input)
        shapes = [_matrix(leaf) for leaf in step.leaves]
        self.graph = Graph(cell.hidden, channels, list(cell.widths), shapes)
        self.values: dict[Key, Value] = {key(leaf): Leaf(i, 0, shapes[i][0]) for i, leaf in enumerate(step.leaves)}
        for index, part in enumerate(step.state):
            self.values[key(part)] = self.graph.node("state", (), part.shape[1], index)
        for index, part in enumerate(step.upstream):
            self.values[key(part)] = self.graph.node("upstream", (), part.shape[1], index)
        self.values[key(step.input)] = self.graph.node("input", (), channels)
        self.fixed = {name[0] for name in self.values}  # storages that no call may change

    def run(self) -> Graph:
        """Return the graph; raises Unsupported."""
        for call in self.step.calls:
            self._record(call)
        graph = self.graph
        graph.after = [self.row(part) for part in self.step.after]
        graph.totals = [self._row_or_zero(part, i) for i, part in enumerate(self.step.totals)]
        graph.before = [self._row_or_zero(part, i) for i, part in enumerate(self.step.before)]
        for leaf, found in zip(self.step.leaves, self.step.of_leaves, strict=True):
            graph.of_leaves.append([] if found is None else self._contributions(found, leaf))
        check_linear(graph)
        return graph

    def _row_or_zero(self, item: Tensor | None, part: int) -> Node:
        return self.graph.constant(0.0, self.graph.parts[part]) if item is None else self.row(item)

    def _record(self, call: Call) -> None:
        results = [call.arguments[0]] if call.operator._schema.is_mutable else tree_leaves(call.result)
        try:
            value = self._value(call)
        except Unsupported as refused:
            value = Refused(str(refused))
        values = value if isinstance(value, list) else [value] * len(results)
        for result, each in zip(results, values, strict=True):
            if isinstance(result, Tensor):
                self.values[key(result)] = each

    def _value(self, call: Call) -> Any:
        name = str(call.operator).removeprefix("aten.").removesuffix(".default")
        if call.operator._schema.is_mutable:
            name = self._without_change(call, name)
        base = name.split(".")[0]
        if base in VIEWS:
            return self._view(call)
        if base in TURNS:
            turned = self._get(call.arguments[0])
            return turned.value if isinstance(turned, Transposed) else Transposed(turned)
        if base in ("mm", "addmm"):
            return self._product(base, call.arguments)
        if base == "sum" and self._over_batch(call):
            row = self.row(call.arguments[0])
            return Sums([Total(row, call.result.numel() == 1 and row.width > 1)])
        if base == "add" and call.tensors and isinstance(self._get(call.tensors[0]), Sums):
            return self._added(call)
        return self._row_value(call, name, base)

    def _row_value(self, call: Call, name: str, base: str) -> Any:
        rule = rules.RULES.get(name) or rules.RULES.get(base)
        results = [item for item in tree_leaves(call.result) if isinstance(item, Tensor)]
        width = self._width(results[0])
        if rule is not None:
            context = calls.Context(self.graph, self._broadcast(call), width, call)
            if cubes.has_three_axes(call) and not (name in elementwise.RULES or base in elementwise.RULES):
                return cubes.across(calls.Context(self.graph, self.row, width, call), base)
            found = rule(context, *call.arguments, **call.keywords)
            return (
                [Sums([each]) if isinstance(each, Total) else each for each in found]
                if isinstance(found, list)
                else found
            )
        if torch.Tag.pointwise in call.operator.tags:
            rows = list(map(self._broadcast(call), call.tensors))
            return self.graph.node("aten", rows, width, calls.Again(call))
        raise Unsupported(f"uses {call.name}")

    def _broadcast(self, call: Call) -> Callable[[Any], Node]:
        """Return the nodes of a call's arguments; one of three axes has them in the shape of its result."""
        if not (isinstance(call.result, Tensor) and call.result.dim() == 3):
            return self.row
        return lambda item: cubes.spread(self.graph, self.row(item), item, tuple(call.result.shape))

    def _added(self, call: Call) -> Sums:
        """Return dL/d(leaf) from two places."""
        left, right = (self._get(item) for item in call.tensors)
        if not (isinstance(left, Sums) and isinstance(right, Sums)) or call.keywords:
            raise Unsupported("has a gradient of an unexpected form")
        return Sums(left.contributions + right.contributions)

    def _without_change(self, call: Call, name: str) -> str:
        """Return the name of an in-place call's twin."""
        changed = key(call.arguments[0])
        others = any(other[0] == changed[0] and other != changed for other in self.values)
        if changed[0] in self.fixed or others:
            raise Unsupported(f"changes a tensor in place ({call.name})")
        base, dot, overload = name.partition(".")
        return base.removesuffix("_") + dot + overload

    def _get(self, item: Tensor) -> Node | Leaf | Transposed | Sums:
        value = self.values.get(key(item))
        if value is None:
            raise Unsupported("reads a tensor that no call has made")
        if isinstance(value, Refused):
            raise Unsupported(value.reason)
        return value

    def _width(self, tensor: Tensor) -> int:
        shape = list(tensor.shape)
        if not shape:
            return 1
        if shape[:1] != [self.batch] or len(shape) > 3:
            named = ["batch" if size == self.batch else str(size) for size in shape]
            raise Unsupported(f"makes a tensor of shape [{', '.join(named)}]")
        return prod(shape[1:])

    def row(self, item: Any) -> Node:
        """Return the node of a tensor, of a leaf that is a row of weights, or of a number."""
        if not isinstance(item, Tensor):
            return self.graph.constant(float(item))
        value = self._get(item)
        if isinstance(value, Leaf):
            rows, columns = self.graph.leaves[value.index]
            if rows != 1:
                raise Unsupported(f"uses a matrix {list(item.shape)} other than in a product")
            return self.graph.node("vector", (), columns, value)
        if not isinstance(value, Node):
            raise Unsupported("computes with sums over the batch")
        return value

    def _view(self, call: Call) -> Node | Leaf | Transposed | Sums:
        value = self._get(call.arguments[0])
        if isinstance(value, Node) and self._width(call.result) != value.width:
            raise Unsupported(f"uses {call.name} across sequences")
        if isinstance(value, Transposed) and call.result.shape != call.arguments[0].shape:
            raise Unsupported(f"uses {call.name} across sequences")
        return value

    def _product(self, base: str, arguments: Sequence[Any]) -> Node | Sums:
        if base == "addmm":
            product = self._product("mm", arguments[1:3])
            if isinstance(product, Sums):
                raise Unsupported("computes with sums over the batch")
            return calls.add(self.graph, self.row(arguments[0]), product)
        left, right = (self._get(item) for item in arguments)
        if isinstance(left, Transposed) and isinstance(left.value, Node):
            return Sums([Outer(left.value, self.row(arguments[1]))])
        turned = isinstance(right, Transposed)
        leaf = right.value if isinstance(right, Transposed) else right
        if not isinstance(leaf, Leaf):
            raise Unsupported("multiplies sequences with each other (aten.mm)")
        x = self.row(arguments[0])
        if turned:
            return self.graph.node("product_t", (x,), leaf.rows, leaf)
        return _products(self.graph, x, leaf)

    def _over_batch(self, call: Call) -> bool:
        axes = call.arguments[1] if len(call.arguments) > 1 else None
        return not axes or 0 in [axis % call.arguments[0].dim() for axis in axes]

    def _contributions(self, found: Tensor, leaf: Tensor) -> list[Contribution]:
        value = self._get(found)
        turned = isinstance(value, Transposed)
        sums = value.value if isinstance(value, Transposed) else value
        if not isinstance(sums, Sums) or found.shape != leaf.shape:
            raise Unsupported("has a gradient of an unexpected form")
        contributions: list[Contribution] = []
        for each in sums.contributions:
            if isinstance(each, Outer):
                contributions += _pieces(*((each.gradient, each.x) if turned else (each.x, each.gradient)))
            else:
                contributions.append(each)
        return contributions


def _products(graph: Graph, x: Node, leaf: Leaf) -> Node:
    """Return x times the leaf; of rows side by side each has its own part of the leaf."""
    if x.op != "cat":
        return graph.node("product", (x,), graph.leaves[leaf.index][1], leaf)
    total, first = None, leaf.first
    for piece in x.arguments:
        product = _products(graph, piece, Leaf(leaf.index, first, piece.width))
        total = product if total is None else calls.add(graph, total, product)
        first += piece.width
    assert total is not None
    return total


def _pieces(x: Node, gradient: Node, first: int = 0) -> list[Contribution]:
    if x.op != "cat":
        return [Outer(x, gradient, first)]
    found: list[Contribution] = []
    for piece in x.arguments:
        found += _pieces(piece, gradient, first)
        first += piece.width
    return found


def _matrix(leaf: Tensor) -> tuple[int, int]:
    """Return rows and columns; what is not a matrix is one row, or cannot be used."""
    cube = leaf.dim() == 3 and len(leaf) == 1 and leaf.is_contiguous()
    if cube or leaf.numel() == prod(leaf.shape[-1:]):
        return 1, leaf.numel()
    return (leaf.shape[0], leaf.shape[1]) if leaf.dim() == 2 else (0, 0)


def check_linear(graph: Graph) -> None:
    """Raise Unsupported unless the way back is linear in dL/d(state after), which rescaling and norms rest on."""
    depends: dict[int, bool] = {}
    for node in ordered(graph.roots()):
        linear = [depends[id(argument)] for argument in node.arguments]
        depends[id(node)] = node.op == "upstream" or any(linear)
        zero = [argument.op == "constant" and argument.data == 0 for argument in node.arguments]
        allowed = {
            "add": all(one or other for one, other in zip(linear, zero, strict=True)),
            "sub": all(one or other for one, other in zip(linear, zero, strict=True)),
            "mul": linear.count(True) == 1,
            "div": linear == [True, False],
            "where": linear[:1] != [True] and all(a or z for a, z in zip(linear[1:], zero[1:], strict=True)),
            "sigmoid_backward": linear == [True, False],
            "tanh_backward": linear == [True, False],
        }
        always = ("upstream", "neg", "sum", "slice", "cat", "expand", "product_t", "product", *CUBES)
        if depends[id(node)] and node.op not in always and not allowed.get(node.op, False):
            raise Unsupported(f"has a gradient that is not linear ({node.op})")
