"""From a step as a graph to the tables of native/problem.h: which products a cell makes, when, and of what."""

from collections.abc import Sequence

from pipeline.kernels.compiler.blocks import Block, Blocks, Column, blocks_in_order, columns
from pipeline.kernels.compiler.ir import Graph, Leaf, Node, Total, ordered
from pipeline.kernels.compiler.tables import Added, Gradient, Panel, Plan, Target, Term, plus, total
from pipeline.kernels.compiler.trace import Unsupported
from pipeline.kernels.program import Size


def plan(graph: Graph) -> Plan:
    """Return the tables of a cell; raises Unsupported."""
    blocks = Blocks(graph)
    made = Plan(graph, blocks)
    made.after = [blocks.of(node) for node in graph.after]
    made.totals = [blocks.of(node) for node in graph.totals]
    for index, part in enumerate(made.totals):
        made.full.append(part != blocks.of(graph.node("upstream", (), graph.parts[index], index)))
    found = columns(blocks, [block for node in graph.roots() for block in blocks.of(node)])
    _forward_stages(made, found)
    _panels(made, found)
    for number in range(len(made.panels)):
        _terms(made, number)
    _targets(made)
    _vector_gradients(made)
    _back_stages(made)
    return made


def _forward_stages(plan: Plan, found: Sequence[Column]) -> None:
    """Return a column can be computed once all its sources are; a computed source takes a stage of its own."""
    column_of = {id(column.block): column for column in found}
    for block in blocks_in_order([block for part in plan.after for block in part]):
        before = [plan.stage[id(argument)] for argument in block.arguments]
        if id(block) in column_of:
            rows = [row for product in column_of[id(block)].products for row in product.arguments]
            before = [plan.stage[id(row)] + 1 for row in rows if row.op not in ("state", "input")]
        plan.stage[id(block)] = max(before, default=0)
    if any(id(column.block) not in plan.stage for column in found):
        raise Unsupported("has a product on its way back that is none of the step")


def _panels(plan: Plan, found: Sequence[Column]) -> None:
    """Columns that see the same rows stand together, those that see the input as well beside those that do not."""
    rows = [product.data[0] for column in found for product in column.products]
    for node in sorted(rows, key=lambda node: node.op != "input"):  # the input comes first in every sum
        plan.source(node)
    panels: dict[tuple[int, bool, tuple[int, ...]], Panel] = {}
    for column in found:
        others = {plan.source(p.data[0]) for p in column.products if p.data[0].op != "input"}
        stage = plan.stage[id(column.block)]
        panel = panels.setdefault((stage, not others, tuple(sorted(others))), Panel(stage, Size(0)))
        panel.columns.append(column)
    at = Size(0)
    for number, name in enumerate(sorted(panels)):
        panel = panels[name]
        panel.at = at
        panel.columns.sort(key=_position)
        for column in panel.columns:
            plan.columns[id(column.block)] = (number, panel.width)
            plan.gradients.append(Gradient(column.gradient, at, column.block.width))
            panel.width, at = plus(panel.width, column.block.width), plus(at, column.block.width)
        plan.panels.append(panel)
    plan.width = at


def _position(column: Column) -> tuple[bool, int, int]:
    """Return what brings columns of one weight into its order; rather that of the state than that of the input."""
    return min((p.data[0].op == "input", p.data[1].index, p.data[2]) for p in column.products)


def _terms(plan: Plan, number: int) -> None:
    panel = plan.panels[number]
    runs: list[Term] = []
    for column in panel.columns:
        at = plus(panel.at, plan.columns[id(column.block)][1])
        for product in column.products:
            x, leaf, k = product.data
            term = Term(number, plan.source(x), plan.weight(leaf), -1, at, plan.column(leaf.index, k), Size(0))
            for run in runs:
                ends = (run.weight, run.source, plus(run.at, run.width), plus(run.column, run.width))
                if ends == (term.weight, term.source, term.at, term.column):
                    term = run
            if term not in runs:
                runs.append(term)
            term.width = plus(term.width, column.block.width)
        for vector in column.vectors:
            index, k = vector.data
            weight = plan.weight(Leaf(index, 0, 1))
            plan.added.append(Added(number, weight, at, plan.column(index, k), column.block.width))
    plan.terms += runs


def _targets(plan: Plan) -> None:
    """Return dL/d(part before) = products of A with weights + what is left; other products have rows of their own."""
    graph, blocks = plan.graph, plan.blocks
    uses: dict[int, int] = {}
    nodes = ordered(graph.roots())
    for used in [*graph.roots(), *(argument for node in nodes for argument in node.arguments)]:
        uses[id(used)] = uses.get(id(used), 0) + 1
    done: set[int] = set()
    for part, node in enumerate(graph.before):
        plan.targets.append(Target(0, total(blocks.widths(graph.parts[part]))))
        pieces = _summands(node, uses)
        own = [p for p in pieces if p.op == "product_t" and uses[id(p)] == 1 and p.width == graph.parts[part]]
        for piece in own:
            _lead(plan, piece, part)
            done.add(id(piece))
        rest = [blocks.of(piece) for piece in pieces if piece not in own and (piece.op, piece.data) != ("constant", 0)]
        plan.direct.append([_sum(blocks, row) for row in zip(*rest, strict=True)])
    for node in nodes:
        if node.op == "product_t" and id(node) not in done:
            width = total(block.width for block in blocks.of(node))
            plan.targets.append(Target(0, width))
            _lead(plan, node, len(plan.targets) - 1)
            for k, block in enumerate(blocks.of(node)):
                plan.products[id(block)] = (len(plan.targets) - 1, total(b.width for b in blocks.of(node)[:k]))


def _summands(node: Node, uses: dict[int, int]) -> list[Node]:
    if node.op != "add" or uses[id(node)] != 1:
        return [node]
    return [piece for argument in node.arguments for piece in _summands(argument, uses)]


def _sum(blocks: Blocks, row: Sequence[Block]) -> Block:
    found = row[0]
    for block in row[1:]:
        found = blocks.make("add", (found, block), max(found.width, block.width))
    return found


def _lead(plan: Plan, node: Node, target: int) -> None:
    """Return the terms of which this is the way back lead to the target."""
    at = {gradient.at: gradient.block for gradient in plan.gradients}
    leaf, wanted = node.data, plan.blocks.of(node.arguments[0])
    for source in range(len(plan.sources)):
        found = []
        for k, block in enumerate(wanted):
            start = plan.column(leaf.index, k)
            for term in plan.terms:
                ours = (plan.weights[term.weight], term.source) == (leaf, source)
                there = plus(term.at, Size(start.units - term.column.units, start.ones - term.column.ones))
                if ours and at.get(there) is block and there >= term.at:
                    found.append(term)
                    break
        if wanted and len(found) == len(wanted) and all(term.target in (-1, target) for term in found):
            for term in found:
                term.target = target
            plan.targets[target].product = True
            return
    raise Unsupported("has a product on its way back of an unexpected form")


def _vector_gradients(plan: Plan) -> None:
    waiting = {id(added) for added in plan.added}
    for leaf, of_leaf in enumerate(plan.graph.of_leaves):
        for each in of_leaf:
            if isinstance(each, Total):
                _vector_gradient(plan, leaf, each, waiting)
    if waiting:
        raise Unsupported("has a bias whose gradient is not that of the sum it belongs to")


def _vector_gradient(plan: Plan, leaf: int, each: Total, waiting: set[int]) -> None:
    """Return the gradient of a row of weights: of a panel's columns if it is added to them, else a column of A."""
    weight = plan.weight(Leaf(leaf, 0, 1))
    at = {gradient.at: gradient.block for gradient in plan.gradients}
    columns = plan.blocks.widths(plan.graph.leaves[leaf][1])
    for k, block in enumerate(plan.blocks.of(each.gradient)):
        column = Size(0) if each.single else plan.column(leaf, k)
        width = block.width if each.single else columns[k]
        for added in plan.added:
            its = (added.weight, added.column) == (weight, column) and at[added.at] is block
            if its and id(added) in waiting:
                waiting.remove(id(added))
                break
        else:
            plan.added.append(Added(-1, weight, plan.width, column, width, each.single))
            plan.gradients.append(Gradient(block, plan.width, width))
            at[plan.width] = block
            plan.width = plus(plan.width, width)


def _back_stages(plan: Plan) -> None:
    """A block that needs a product of the way back comes a stage after the columns that the product is made of."""
    stage = plan.back_stage
    roots = [block for part in (*plan.totals, *plan.direct) for block in part]
    roots += [gradient.block for gradient in plan.gradients]
    for block in blocks_in_order(roots):
        before = [stage.get(id(argument), 0) for argument in block.arguments]
        if id(block) in plan.stage:
            stage[id(block)] = 0
        else:
            stage[id(block)] = max(before, default=0) + (block.op == "product_t")
            if block.op == "product_t":
                plan.targets[plan.products[id(block)][0]].stage = stage[id(block)] - 1
    for target in plan.targets[: len(plan.graph.before)]:
        target.stage = plan.back_stages - 1
