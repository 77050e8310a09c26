"""Which numbers a step keeps for the way back, and which are computed again from those."""

from collections.abc import Iterable, Mapping

from pipeline.kernels.compiler.blocks import Block, blocks_in_order
from pipeline.kernels.compiler.tables import Plan

KEEP, KEEP_ONE = 3.0, 0.3  # what it costs to write a block and read it again; one number
COSTS: Mapping[str, float] = {
    **dict.fromkeys(("add", "sub", "mul", "neg", "where", "abs", "relu", "sign", "maximum", "minimum"), 0.25),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"), 0.2),
    **dict.fromkeys(("tanh", "sigmoid", "exp"), 2.9),
    **dict.fromkeys(("log", "log1p"), 4.0),
    **dict.fromkeys(("div", "sqrt", "rsqrt"), 1.0),
    **dict.fromkeys(("sum", "max"), 2.0),
    "constant": 0.0,
}
SLOW = 30.0  # every other function


def cost(block: Block) -> float:
    """Return what it costs to compute a block from its arguments."""
    return COSTS.get(block.op, SLOW)


def kept(plan: Plan) -> list[Block]:
    """Return the blocks to keep: as few bytes as come with little computed twice, found by exchanging one at a time."""
    free = _free(plan)
    wanted = [block for block in _needed(plan) if id(block) not in free]
    forced = {
        id(block): block for source in plan.sources if source.kind == "KEPT" for block in plan.blocks.of(source.node)
    }
    chosen: dict[int, Block] = {id(b): b for b in wanted if not _must_be_computed(b)} | forced
    for block in wanted:
        if _must_be_computed(block):
            chosen |= {id(b): b for b in _stored(block.arguments, plan, free)}
    best = _cost(chosen, wanted, plan, free)
    improved = True
    while improved:
        improved = False
        for block in reversed(blocks_in_order(list(chosen.values()))):
            if id(block) not in chosen or id(block) in forced or id(block) in plan.columns or not block.arguments:
                continue
            other = {name: b for name, b in chosen.items() if b is not block}
            other |= {id(b): b for b in _stored(block.arguments, plan, free)}
            if (found := _cost(other, wanted, plan, free)) < best:
                chosen, best, improved = other, found, True
    return [b for b in blocks_in_order(list(chosen.values())) if id(b) in chosen]


def _free(plan: Plan) -> set[int]:
    """Return the blocks that lie in memory anyway: the state before and after, and weights."""
    found = {id(block) for part in plan.after for block in part}
    return found | {name for name, block in _forward(plan).items() if block.op in ("state", "vector", "constant")}


def _forward(plan: Plan) -> dict[int, Block]:
    return {id(b): b for b in blocks_in_order([b for part in plan.after for b in part])}


def _needed(plan: Plan) -> list[Block]:
    """Return the blocks of the step that the way back reads."""
    roots = [b for part in (*plan.totals, *plan.direct) for b in part] + [g.block for g in plan.gradients]
    order = blocks_in_order(roots)
    found = {id(b): b for b in roots if id(b) in plan.stage}
    for block in order:
        if id(block) not in plan.stage and block.op != "product_t":
            found |= {id(a): a for a in block.arguments if id(a) in plan.stage}
    return list(found.values())


def _must_be_computed(block: Block) -> bool:
    return block.mask


def _stored(blocks: Iterable[Block], plan: Plan, free: set[int]) -> list[Block]:
    """Return what has to be kept so that these can be had: themselves, but for what is free and for masks."""
    found: list[Block] = []
    for block in blocks:
        if id(block) in free:
            continue
        if _must_be_computed(block):
            found += _stored(block.arguments, plan, free)
        else:
            found.append(block)
    return found


def _cost(chosen: Mapping[int, Block], wanted: Iterable[Block], plan: Plan, free: set[int]) -> float:
    again: dict[int, float] = {}

    def visit(block: Block) -> None:
        if id(block) in chosen or id(block) in free or id(block) in again:
            return
        again[id(block)] = cost(block) * (0.1 if block.single else 1) if id(block) not in plan.columns else 1e9
        for argument in block.arguments:
            visit(argument)

    for block in wanted:
        visit(block)
    reductions = sum(block.op in ("sum", "max") for block in blocks_in_order(list(wanted)) if id(block) in again)
    return float(sum(KEEP_ONE if b.single else KEEP for b in chosen.values()) + sum(again.values()) + reductions)
