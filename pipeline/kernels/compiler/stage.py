"""The body of one C++ function: a sequence's blocks of one stage, in as few loops over the units as they need.

Blocks are computed where they are used; what a later loop needs is read from memory, computed again if that is cheap,
or else carried there. A sum over the units ends a loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.kernels.compiler.blocks import ONE, UNITS, Block
from pipeline.kernels.compiler.expressions import constant, expression
from pipeline.kernels.compiler.memory import COSTS, SLOW
from pipeline.kernels.program import Size

CHEAP = 1.5  # what is computed again in another loop rather than carried there


class Carry(Exception):  # noqa: N818  a request
    """This block has to be carried from the loop that computes it to another."""

    def __init__(self, block: Block):
        self.block = block


@dataclass
class Store:
    """A block that goes to memory, or whose squares are summed (`square`: the number of a part)."""

    block: Block
    to: str  # an address
    width: Size
    square: int | None = None


@dataclass
class Body:
    """Writes one function."""

    stage: int
    stages: Mapping[int, int]  # of all blocks
    homes: Mapping[int, str]  # where blocks lie that are in memory when the function begins
    kept: Mapping[int, tuple[int, str]]  # where blocks lie once a loop has stored them: loop, address
    stores: Sequence[Store]
    lines: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)  # of single numbers
    levels: dict[int, int] = field(default_factory=dict)
    count: int = 0

    def write(self) -> list[str]:
        """Return the lines; raises Carry."""
        sums = self._sums()
        last = max([self.level(store.block) for store in self.stores] + [self.level(b) for b in sums], default=0)
        for level in range(last + 1):
            of_level = [b for b in sums if self.level(b) == level + 1]
            stores = [s for s in self.stores if self.level(s.block) == level]
            widths = {s.width for s in stores if s.width != ONE}
            widths |= {a.width for b in of_level for a in b.arguments if not a.single}
            for store in stores:
                if store.width == ONE:
                    self.lines.append(f"*({store.to}) = {self.single(store.block)}[0];")
            for width in sorted(widths):
                self._loop(level, width, [s for s in stores if s.width == width], of_level)
            for block in of_level:
                self._finish(block)
        return self.lines

    def level(self, block: Block) -> int:
        """Return how many loops have to end before this block can be computed."""
        if id(block) in self.homes or block.op in ("constant", "vector"):
            return 0
        if id(block) not in self.levels:
            inner = max((self.level(argument) for argument in block.arguments), default=0)
            self.levels[id(block)] = inner + (block.op in ("sum", "max"))
        return self.levels[id(block)]

    def _sums(self) -> list[Block]:
        """Return the sums over units that this function computes, each after those it needs."""
        found: dict[int, Block] = {}

        def visit(block: Block) -> None:
            if id(block) in self.homes or id(block) in found:
                return
            for argument in block.arguments:
                visit(argument)
            if block.op in ("sum", "max"):
                found[id(block)] = block

        for store in self.stores:
            visit(store.block)
        return list(found.values())

    def _name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    # ------------------------------------------------------------ single numbers

    def single(self, block: Block) -> str:
        """Return the name of a block that is one number, which stands in all lanes."""
        if block.op == "constant":
            return constant(block.data)
        if id(block) not in self.names:
            if id(block) in self.homes:
                text = f"all<T>(*({self.homes[id(block)]}))"
            else:
                text = expression(block, [self.single(argument) for argument in block.arguments])
            self.names[id(block)] = name = self._name()
            self.lines.append(f"auto {name} = {text};")
        return self.names[id(block)]

    def _finish(self, block: Block) -> None:
        total, name = self.names.pop(id(block)), self._name()
        reduce = "sum<T>" if block.op == "sum" else "highest<T>"
        self.lines.append(f"V<T> {name} = all<T>({reduce}({total}));")
        self.names[id(block)] = name

    # ------------------------------------------------------------ loops

    def _loop(self, level: int, width: Size, stores: Sequence[Store], sums: Sequence[Block]) -> None:
        inside: list[str] = []
        found: dict[int, str] = {}
        loop = _Loop(self, level, width, inside, found)
        squares = []
        for store in stores:
            name = loop.value(store.block)
            if store.square is None:
                inside.append(f"store({store.to} + j, {name}, n);")
            else:
                squares.append(store.square)
                inside.append(f"squares{store.square} += only<T>({name} * {name}, n);")
        for block in sums:
            if id(block) not in self.names:
                self.names[id(block)] = total = self._name()
                start = "{}" if block.op == "sum" else " = all<T>(-std::numeric_limits<T>::infinity())"
                self.lines.append(f"V<T> {total}{start};")
            total = self.names[id(block)]
            for argument in block.arguments:
                if argument.width == width:
                    name = loop.value(argument)
                    if block.op == "sum":
                        inside.append(f"{total} += only<T>({name}, n);")
                    else:
                        inside.append(
                            f"{total} = larger<T>({total}, only<T>({name}, n, -std::numeric_limits<T>::infinity()));"
                        )
        self.lines += [f"V<T> squares{part}{{}};" for part in sorted(set(squares))]
        self.lines.append(f"units<T>({'H' if width == UNITS else width.ones}, [&](long j, auto n) {{")
        self.lines += [f"    {line}" for line in inside]
        self.lines.append("});")
        self.lines += [f"s.squares[{part}] += squares{part};" for part in sorted(set(squares))]


@dataclass
class _Loop:
    """Computes blocks inside one loop."""

    body: Body
    level: int
    width: Size
    lines: list[str]
    names: dict[int, str]

    def value(self, block: Block) -> str:
        """Return the name of a block's vector."""
        if block.single and self.width != ONE:
            return self.body.single(block)
        if id(block) not in self.names:
            text = self._text(block)
            self.names[id(block)] = name = self.body._name()
            self.lines.append(f"{'auto' if block.mask else 'V<T>'} {name} = {text};")
        return self.names[id(block)]

    def _text(self, block: Block) -> str:
        if id(block) in self.body.homes:
            return f"load({self.body.homes[id(block)]} + j, n)"
        stored = self.body.kept.get(id(block))
        if stored is not None and stored[0] < self.level:
            return f"load({stored[1]} + j, n)"
        if self.body.level(block) < self.level and self._again(block) > CHEAP:
            raise Carry(block)
        return expression(block, [self.value(argument) for argument in block.arguments])

    def _again(self, block: Block) -> float:
        if id(block) in self.body.homes or block.single or id(block) in self.names:
            return 0.0
        return COSTS.get(block.op, SLOW) + sum(self._again(argument) for argument in block.arguments)
