"""What native/problem.h has tables of, for one cell: sources, panels, terms, targets, and the columns of A."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.kernels.compiler.blocks import Block, Blocks, Column
from pipeline.kernels.compiler.ir import Graph, Leaf, Node
from pipeline.kernels.program import Size

NOTHING = Size(0)


def plus(one: Size, other: Size) -> Size:
    """Return the sum of two lengths."""
    return Size(one.units + other.units, one.ones + other.ones)


def total(widths: Iterable[Size]) -> Size:
    """Return the sum of lengths."""
    found = Size(0)
    for width in widths:
        found = plus(found, width)
    return found


@dataclass
class Source:
    """A row that products read."""

    node: Node
    kind: str  # STATE, INPUT, NEW or KEPT
    part: int
    width: Size
    at: Size = NOTHING  # in what a step keeps


@dataclass
class Panel:
    """Columns of one stage that see the same rows."""

    stage: int
    at: Size
    columns: list[Column] = field(default_factory=list)
    width: Size = NOTHING


@dataclass
class Term:
    """Columns of a panel that are a source times columns of a weight."""

    panel: int
    source: int
    weight: int
    target: int
    at: Size
    column: Size
    width: Size


@dataclass
class Added:
    """A row of weights added to columns, or (panel -1) one whose gradient is all that A holds."""

    panel: int
    weight: int
    at: Size
    column: Size
    width: Size
    single: bool = False


@dataclass
class Target:
    """A gradient that is a product: of a part of the state, or of another source."""

    stage: int
    width: Size
    product: bool = False


@dataclass
class Gradient:
    """A block of A."""

    block: Block
    at: Size
    width: Size


@dataclass
class Plan:
    """All tables, and the blocks that the functions of the cell compute."""

    graph: Graph
    blocks: Blocks
    weights: list[Leaf] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)
    added: list[Added] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    gradients: list[Gradient] = field(default_factory=list)
    direct: list[list[Block]] = field(default_factory=list)  # of dL/d(part before), besides products; [] is zero
    after: list[list[Block]] = field(default_factory=list)
    totals: list[list[Block]] = field(default_factory=list)
    full: list[bool] = field(default_factory=list)  # whether a total is more than what comes in
    columns: dict[int, tuple[int, Size]] = field(default_factory=dict)  # column blocks: panel, and where in it
    products: dict[int, tuple[int, Size]] = field(default_factory=dict)  # product_t blocks: target, and where in it
    stage: dict[int, int] = field(default_factory=dict)  # of each block that a step computes forward
    back_stage: dict[int, int] = field(default_factory=dict)  # of each block of the way back
    width: Size = NOTHING  # of A

    @property
    def stages(self) -> int:
        return max(self.stage.values(), default=0) + 1

    @property
    def back_stages(self) -> int:
        return max(self.back_stage.values(), default=0) + 1

    def weight(self, leaf: Leaf) -> int:
        """Return the number of these rows of a leaf among the weights."""
        if leaf not in self.weights:
            self.weights.append(leaf)
        return self.weights.index(leaf)

    def column(self, leaf: int, k: int) -> Size:
        """Return where block k of a leaf's columns begins."""
        return total(self.blocks.widths(self.graph.leaves[leaf][1])[:k])

    def source(self, node: Node) -> int:
        """Return the number of a row among the sources."""
        for index, source in enumerate(self.sources):
            if source.node is node:
                return index
        width, after = total(block.width for block in self.blocks.of(node)), self.graph.after
        if node.op in ("state", "input"):
            self.sources.append(Source(node, node.op.upper(), node.data or 0, width))
        elif any(other is node for other in after):
            part = next(i for i, other in enumerate(after) if other is node)
            self.sources.append(Source(node, "NEW", part, width))
        else:
            self.sources.append(Source(node, "KEPT", 0, width))
        return len(self.sources) - 1
