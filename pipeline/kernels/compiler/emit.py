"""A cell as C++: the struct that native/threads.h runs, from the plan of its step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.kernels.compiler.blocks import Block
from pipeline.kernels.compiler.ir import Leaf
from pipeline.kernels.compiler.memory import cost, kept
from pipeline.kernels.compiler.stage import CHEAP, Body, Carry, Store
from pipeline.kernels.compiler.tables import NOTHING, Plan, plus, total
from pipeline.kernels.program import Size


@dataclass
class Emitted:
    """The text of a cell, and what its caller must know."""

    text: str
    kept: Size


@dataclass
class Writer:
    """Collects what the functions store, and where blocks lie."""

    plan: Plan
    vectors: list[Block] = field(default_factory=list)
    kept: list[tuple[Block, Size]] = field(default_factory=list)
    width: Size = NOTHING  # of what is kept
    carried: dict[int, tuple[Block, Size]] = field(default_factory=dict)
    carried_width: Size = NOTHING

    def __post_init__(self) -> None:
        blocks = self.plan.blocks
        chosen = kept(self.plan)
        for source in self.plan.sources:
            if source.kind == "KEPT":
                source.at = self.width
                for block in blocks.of(source.node):
                    self._keep(block)
        done = {id(block) for block, _ in self.kept}
        for block in sorted(chosen, key=lambda block: block.single):
            if id(block) not in done:
                self._keep(block)

    def _keep(self, block: Block) -> None:
        self.kept.append((block, self.width))
        self.width = plus(self.width, block.width)

    def vector(self, block: Block) -> str:
        """Return the address of a row of weights."""
        if block not in self.vectors:
            self.vectors.append(block)
        return f"s.vectors[{self.vectors.index(block)}]"

    def carry(self, block: Block) -> None:
        """Give the block a place between loops."""
        assert not block.mask, "masks are computed again"
        self.carried[id(block)] = (block, self.carried_width)
        self.carried_width = plus(self.carried_width, block.width)


def emit(plan: Plan) -> Emitted:
    """Return the struct `Cell`; raises Unsupported."""
    writer = Writer(plan)
    forward = _functions(writer, "forward", plan.stages, plan.stage, _forward_homes(writer), _forward_stores(writer))
    back_homes = _backward_homes(writer)
    back = _functions(writer, "backward", plan.back_stages, plan.back_stage, back_homes, _backward_stores(writer))
    lines = ['#include "activations.h"', '#include "problem.h"', "", "struct Cell {"]
    lines += [f"    {line}" for line in [*_tables(writer), "", *forward, *back]]
    return Emitted("\n".join([*lines, "};"]), writer.width)


def _at(size: Size) -> str:
    parts = [f"{size.units} * H"] * (size.units > 1) + ["H"] * (size.units == 1) + [str(size.ones)] * (size.ones > 0)
    return "".join(f" + {part}" for part in parts)


def _starts(widths: Sequence[Size]) -> list[Size]:
    return [total(widths[:k]) for k in range(len(widths))]


def _parts(plan: Plan, op: str) -> list[tuple[Block, int, Size]]:
    """Return the blocks of all parts of the state, with part and place."""
    found = []
    for part in range(len(plan.after)):
        row = plan.blocks.of(plan.graph.node(op, (), plan.graph.parts[part], part))
        found += [(block, part, at) for block, at in zip(row, _starts([block.width for block in row]), strict=True)]
    return found


def _forward_homes(writer: Writer) -> dict[int, str]:
    plan = writer.plan
    homes = {id(block): f"s.before[{part}]{_at(at)}" for block, part, at in _parts(plan, "state")}
    for name, (panel, at) in plan.columns.items():
        homes[name] = f"s.a + s.start[{panel}]{_at(at)}"
    return homes


def _forward_stores(writer: Writer) -> list[Store]:
    plan = writer.plan
    stores = []
    for part, row in enumerate(plan.after):
        widths = plan.blocks.widths(plan.graph.parts[part])
        for block, at, width in zip(row, _starts(widths), widths, strict=True):
            stores.append(Store(block, f"s.after[{part}]{_at(at)}", width))
    return stores + [Store(block, f"s.kept{_at(at)}", block.width) for block, at in writer.kept]


def _backward_homes(writer: Writer) -> dict[int, str]:
    plan = writer.plan
    homes: dict[int, str] = {}
    for part, row in enumerate(plan.after):
        starts = _starts(plan.blocks.widths(plan.graph.parts[part]))
        homes |= {id(b): f"s.after[{part}]{_at(at)}" for b, at in zip(row, starts, strict=True) if not b.single}
    homes |= {id(block): f"s.before[{part}]{_at(at)}" for block, part, at in _parts(plan, "state")}
    homes |= {id(block): f"s.kept{_at(at)}" for block, at in writer.kept}
    homes |= {id(block): f"s.d[{part}]{_at(at)}" for block, part, at in _parts(plan, "upstream")}
    for name, (target, at) in plan.products.items():
        homes[name] = f"s.products[{target}]{_at(at)}"
    return homes


def _backward_stores(writer: Writer) -> list[Store]:
    plan, stores = writer.plan, []
    widths = [plan.blocks.widths(part) for part in plan.graph.parts]
    for part, row in enumerate(plan.totals):
        for block, at, width in zip(row, _starts(widths[part]), widths[part], strict=True):
            stores.append(Store(block, "", width, part))
            if plan.full[part]:
                stores.append(Store(block, f"s.full[{part}]{_at(at)}", width))
    for gradient in plan.gradients:
        stores.append(Store(gradient.block, f"s.A{_at(gradient.at)}", gradient.width))
    for part, row in enumerate(plan.direct):
        if not row and not plan.targets[part].product:  # nobody else writes it
            row = [plan.blocks.of(plan.graph.constant(0.0))[0]] * len(widths[part])
        for block, at, width in zip(row, _starts(widths[part]), widths[part], strict=False):
            stores.append(Store(block, f"s.direct[{part}]{_at(at)}", width))
    return stores


def _functions(
    writer: Writer, name: str, count: int, stages: dict[int, int], homes: dict[int, str], stores: list[Store]
) -> list[str]:
    """Return the text of all stages; the last comes first, for it may ask the others to carry blocks to it."""
    row = "Forward<T>" if name == "forward" else "Backward<T>"
    bodies: list[list[str]] = []
    for stage in reversed(range(count)):
        body = _body(writer, stage, stages, homes, stores)
        signature = f"template <int STAGE, class T> static void {name}_{stage}(const {row}& s) {{"
        bodies.insert(0, [signature, "    [[maybe_unused]] long H = s.H;", *(f"    {line}" for line in body), "}"])
    call = " else ".join(f"if constexpr (STAGE == {stage}) {name}_{stage}<STAGE, T>(s);" for stage in range(count))
    main = [f"template <int STAGE, class T> static void {name}(const {row}& s) {{", f"    {call}", "}"]
    return [line for body in bodies for line in body] + main


def _body(writer: Writer, stage: int, stages: dict[int, int], homes: dict[int, str], stores: list[Store]) -> list[str]:
    while True:
        found = dict(homes)
        _elsewhere(writer, stage, stages, found, stores)
        own = [store for store in stores if stages.get(id(store.block), 0) == stage]
        level = Body(stage, stages, found, {}, own)
        kept = {}
        for store in own:
            if store.square is None and id(store.block) not in found and not store.block.single:
                kept[id(store.block)] = (level.level(store.block), store.to)
        try:
            return Body(stage, stages, found, kept, own).write()
        except Carry as request:
            writer.carry(request.block)
            at = writer.carried[id(request.block)][1]
            stores.append(Store(request.block, f"s.carried{_at(at)}", request.block.width))


def _elsewhere(writer: Writer, stage: int, stages: dict[int, int], homes: dict[int, str], stores: list[Store]) -> None:
    """Give every block of an earlier stage that this one needs a place: where it is stored, or carried."""
    stored = {id(s.block): s.to for s in stores if s.square is None and stages.get(id(s.block), 0) < stage}
    done: set[int] = set()

    def visit(block: Block) -> None:
        if block.op == "vector":
            homes[id(block)] = writer.vector(block)
        if id(block) in homes or id(block) in done:
            return
        done.add(id(block))
        if block.op != "constant" and stages.get(id(block), 0) < stage and not block.mask:
            if id(block) in stored:
                homes[id(block)] = stored[id(block)]
                return
            if _again(block, homes) > CHEAP:
                writer.carry(block)
                to = f"s.carried{_at(writer.carried[id(block)][1])}"
                stores.append(Store(block, to, block.width))
                homes[id(block)] = to
                return
        for argument in block.arguments:
            visit(argument)

    for store in list(stores):
        if stages.get(id(store.block), 0) == stage:
            visit(store.block)


def _again(block: Block, homes: dict[int, str]) -> float:
    if id(block) in homes or block.op in ("vector", "constant"):
        return 0.0
    return cost(block) + sum(_again(argument, homes) for argument in block.arguments)


def _size(size: Size) -> str:
    return f"{{{size.units}, {size.ones}}}"


def _array(kind: str, name: str, items: Sequence[str]) -> str:
    inner = ", ".join(items)
    return f"static constexpr std::array<{kind}, {len(items)}> {name} = {{{'{' + inner + '}' if items else ''}}};"


def _tables(writer: Writer) -> list[str]:
    plan = writer.plan
    parts = [total(plan.blocks.widths(part)) for part in plan.graph.parts]
    vectors = []
    for block in writer.vectors:
        leaf, k = block.data
        vectors.append(f"{{{plan.weight(Leaf(leaf, 0, 1))}, {_size(plan.column(leaf, k))}, {_size(block.width)}}}")
    given = [Size(0) if source.kind == "INPUT" else source.width for source in plan.sources]
    sources = [
        f"{{From::{s.kind}, {s.part}, {_size(s.at)}, {_size(width)}}}"
        for s, width in zip(plan.sources, given, strict=True)
    ]
    panels = [f"{{{p.stage}, {_size(p.at)}, {_size(p.width)}}}" for p in plan.panels]
    terms = [
        f"{{{t.panel}, {t.source}, {t.weight}, {t.target}, {_size(t.at)}, {_size(t.column)}, {_size(t.width)}}}"
        for t in plan.terms
    ]
    added = [
        f"{{{a.panel}, {a.weight}, {_size(a.at)}, {_size(a.column)}, {_size(a.width)}, {str(a.single).lower()}}}"
        for a in plan.added
    ]
    targets = [f"{{{t.stage}, {_size(t.width)}, {str(t.product).lower()}}}" for t in plan.targets]
    return [
        f"static constexpr int STAGES = {plan.stages}, BACK_STAGES = {plan.back_stages};",
        f"static constexpr Size KEPT{_size(writer.width)}, COLUMNS{_size(plan.width)}, "
        f"CARRIED{_size(writer.carried_width)};",
        _array("Size", "PARTS", [_size(part) for part in parts]),
        _array("bool", "FULL", [str(full).lower() for full in plan.full]),
        _array("Source", "SOURCES", sources),
        _array("Panel", "PANELS", panels),
        _array("Term", "TERMS", terms),
        _array("Added", "ADDED", added),
        _array("Vector", "VECTORS", vectors),
        _array("Target", "TARGETS", targets),
    ]
