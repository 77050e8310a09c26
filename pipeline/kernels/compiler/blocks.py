"""The graph cut into blocks of as many numbers as there are units, which one loop over the units computes together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.kernels.compiler.ir import CUBES, POINTWISE, Graph, Leaf, Node, Outer
from pipeline.kernels.compiler.trace import Unsupported
from pipeline.kernels.program import Size

UNITS, ONE = Size(1), Size(0, 1)  # a number for each unit; one number for all of them


class Block:
    """A part of a row, never changed: operators as in ir.py, with the block's number among its row's in `data`.

    product has (its row x, leaf, number), product_t (leaf, number), and the blocks of x as arguments.
    """

    def __init__(self, op: str, arguments: tuple["Block", ...], width: Size, data: Any = None, mask: bool = False):
        self.op, self.arguments, self.width, self.data, self.mask = op, arguments, width, data, mask

    @property
    def single(self) -> bool:
        return self.width == ONE


@dataclass
class Blocks:
    """Makes each block once."""

    graph: Graph
    known: dict[Any, Block] = field(default_factory=dict)
    rows: dict[int, list[Block]] = field(default_factory=dict)

    def make(self, op: str, arguments: Sequence[Block], width: Size, data: Any = None, mask: bool = False) -> Block:
        """Return the one block of this kind."""
        name = (op, tuple(map(id, arguments)), width, data)
        if name not in self.known:
            self.known[name] = Block(op, tuple(arguments), width, data, mask)
        return self.known[name]

    def widths(self, width: int) -> list[Size]:
        """Return how a row of this width is cut."""
        hidden = self.graph.hidden
        return [UNITS] * (width // hidden) if width % hidden == 0 else [Size(0, width)]

    def of(self, node: Node) -> list[Block]:
        """Return the blocks of a row."""
        if id(node) not in self.rows:
            self.rows[id(node)] = self._of(node)
        return self.rows[id(node)]

    def _of(self, node: Node) -> list[Block]:
        if node.op in ("state", "upstream"):
            return [self.make(node.op, (), w, (node.data, k)) for k, w in enumerate(self.widths(node.width))]
        if node.op == "vector":
            return [self.make("vector", (), w, (node.data.index, k)) for k, w in enumerate(self.widths(node.width))]
        if node.op == "input":
            return [self.make("input", (), Size(0, node.width))]
        if node.op == "constant":
            return [self.make("constant", (), ONE, node.data)] * len(self.widths(node.width))
        if node.op in ("product", "product_t"):
            return self._product(node)
        if node.op in CUBES:
            raise Unsupported("makes tensors of three axes, which are not written in C++")
        rows = [self.of(argument) for argument in node.arguments]
        if node.op == "cat":
            return [block for row in rows for block in row]
        if node.op == "slice":
            return self._slice(node, rows[0])
        if node.op == "expand":
            return rows[0] * len(self.widths(node.width))
        if node.op in ("sum", "max"):
            return rows[0] if rows[0] == [rows[0][0]] and rows[0][0].single else [self.make(node.op, rows[0], ONE)]
        return self._pointwise(node, rows)

    def _product(self, node: Node) -> list[Block]:
        (x,), leaf = node.arguments, node.data
        arguments = self.of(x)
        data = [(x, leaf, k) if node.op == "product" else (leaf, k) for k in range(len(self.widths(node.width)))]
        return [
            self.make(node.op, arguments, width, each)
            for width, each in zip(self.widths(node.width), data, strict=True)
        ]

    def _slice(self, node: Node, row: list[Block]) -> list[Block]:
        hidden = self.graph.hidden
        if node.data % hidden or node.width % hidden or any(block.width != UNITS for block in row):
            raise Unsupported(f"cuts rows of {node.arguments[0].width} at {node.data}, no multiple of its units")
        return row[node.data // hidden : (node.data + node.width) // hidden]

    def _pointwise(self, node: Node, rows: list[list[Block]]) -> list[Block]:
        if node.op == "aten":
            raise Unsupported(f"uses {node.data.name}, which is not written in C++")
        if node.op not in POINTWISE:
            raise Unsupported(f"uses {node.op}, which is not written in C++")
        count = max(map(len, rows))
        found = []
        for k in range(count):
            arguments = [row[0] if len(row) == 1 else row[k] for row in rows]
            if any(
                len(row) not in (1, count) or argument.op == "input"
                for row, argument in zip(rows, arguments, strict=True)
            ):
                raise Unsupported("computes with its input other than by a product")
            widths = {argument.width for argument in arguments if not argument.single}
            if len(widths) > 1 or (count > 1 and any(len(row) == 1 and not row[0].single for row in rows)):
                raise Unsupported("combines rows of different widths")
            found.append(self.make(node.op, arguments, next(iter(widths), ONE), None, node.mask))
        return found


def blocks_in_order(roots: Sequence[Block]) -> list[Block]:
    """Return the roots and all they need, each after its arguments."""
    found: dict[int, Block] = {}

    def visit(block: Block) -> None:
        if id(block) not in found:
            for argument in block.arguments:
                visit(argument)
            found[id(block)] = block

    for root in roots:
        visit(root)
    return list(found.values())


@dataclass(frozen=True, eq=False)
class Column:
    """A block that is a sum of products and of rows of weights: one column of the matrices that a step multiplies."""

    block: Block
    products: tuple[Block, ...]
    vectors: tuple[Block, ...]
    gradient: Block  # dL/d(it)


def columns(blocks: Blocks, roots: Sequence[Block]) -> list[Column]:
    """Return the largest such sums, of which nothing inside is used elsewhere."""
    order = blocks_in_order(roots)
    uses: dict[int, int] = {id(root): 2 for root in roots}  # a root is never inside
    for block in order:
        for argument in block.arguments:
            uses[id(argument)] = uses.get(id(argument), 0) + 1
    gradients = _gradients(blocks)
    inside: set[int] = set()
    found = []
    for block in reversed(order):
        if id(block) in inside:
            continue
        members = _members(block, block, uses)
        products = tuple(member for member in members or () if member.op == "product")
        if not products:
            continue
        inside |= {id(member) for member in members or ()}
        found.append(_column(block, products, tuple(m for m in members or () if m.op == "vector"), gradients))
    return found[::-1]


def _column(
    block: Block, products: tuple[Block, ...], vectors: tuple[Block, ...], gradients: dict[Any, Block]
) -> Column:
    its = {gradients.get((id(x), leaf, k)) for x, leaf, k in (product.data for product in products)}
    gradient = its.pop()
    if its or gradient is None:
        raise Unsupported("has a product whose gradient is not that of the sum it belongs to")
    return Column(block, products, vectors, gradient)


def _members(block: Block, top: Block, uses: dict[int, int]) -> list[Block] | None:
    """Return the products, vectors and inner sums of a sum; None if there is something else in it."""
    if block.op == "vector":
        return [block] if block.width == top.width and block is not top else None
    if block is not top and uses[id(block)] != 1:
        return None
    if block.op == "product":
        return [block]
    if block.op != "add" or block.width != top.width:
        return None
    found = [block] if block is not top else []
    for argument in block.arguments:
        inner = _members(argument, top, uses)
        if inner is None:
            return None
        found += inner
    return found


def _gradients(blocks: Blocks) -> dict[Any, Block]:
    """Return dL/d(product) of each block of each product."""
    found: dict[Any, Block] = {}
    for index, of_leaf in enumerate(blocks.graph.of_leaves):
        for each in of_leaf:
            if isinstance(each, Outer):
                leaf = Leaf(index, each.first, each.x.width)
                for k, block in enumerate(blocks.of(each.gradient)):
                    if (id(each.x), leaf, k) in found:
                        raise Unsupported("makes the same product twice")
                    found[id(each.x), leaf, k] = block
    return found
