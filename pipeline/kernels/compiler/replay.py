"""Level 2: the graph of a cell run in torch, all replicas at once, on any device; no autograd graph is kept.

A step's nodes that the way back needs are kept as they are; the gradients of the weights are summed over chunks of
steps, one product a chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.kernels.compiler import cubes
from pipeline.kernels.compiler.ir import CUBES, POINTWISE, Graph, Node, Outer, ordered
from pipeline.kernels.compiler.summing import SummedGradients
from pipeline.kernels.scaling import Norms, RunningGradient, times_power_of_two_
from pipeline.kernels.workspace import Trace

Row = Float[Tensor, "replica batch _"]
Matrix = Float[Tensor, "replica _ _"]
Values = dict[int, Tensor]  # by node


class Program:
    """The nodes of a step in the order of their computation, and what each step keeps."""

    def __init__(self, graph: Graph):
        self.graph = graph
        forward, roots = ordered(graph.after), {id(node) for node in graph.roots()}
        known = {id(node) for node in forward}
        self.spread = {
            id(n) for n in ordered(graph.roots()) if n.op in cubes.SPREAD and id(n) not in roots
        }  # never made
        self.forward = [node for node in forward if id(node) not in self.spread]
        self.backward = [n for n in ordered(graph.roots()) if id(n) not in known and id(n) not in self.spread]
        contributions = [each for of_leaf in graph.of_leaves for each in of_leaf]
        needed = [argument for node in self.backward for argument in node.arguments]
        needed = [node.arguments[0] if id(node) in self.spread else node for node in needed]
        needed += [node for node in [*graph.totals, *graph.before] if id(node) in known]
        for each in contributions:
            needed += [each.x, each.gradient] if isinstance(each, Outer) else [each.gradient]
        self.kept = {id(node): node for node in needed if id(node) in known and node.op not in ("input", "constant")}
        self.fused = self._sums()

    def _sums(self) -> dict[int, Node]:
        """Return the products that the addition of their one user computes as well, by that addition."""
        uses: dict[int, int] = {}
        for node in [*self.forward, *self.backward]:
            for argument in node.arguments:
                uses[id(argument)] = uses.get(id(argument), 0) + 1
        roots = {id(node) for node in self.graph.roots()} | set(self.kept)
        found = {}
        for node in [*self.forward, *self.backward]:
            if node.op == "add":
                for argument in node.arguments:
                    alone = uses[id(argument)] == 1 and id(argument) not in roots
                    if argument.op in ("product", "product_t") and alone and id(node) not in found:
                        found[id(node)] = argument
        return found


@dataclass(frozen=True)
class Run:
    """A program on the leaves of all replicas."""

    program: Program
    leaves: Sequence[Matrix]

    def evaluate(self, nodes: Sequence[Node], values: Values) -> None:
        """Compute the nodes, whose arguments are among the values or before them."""
        skipped = {id(product) for product in self.program.fused.values()}
        for node in nodes:
            if id(node) not in values and id(node) not in skipped:
                values[id(node)] = self._value(node, values)

    def _value(self, node: Node, values: Values) -> Tensor:
        if (product := self.program.fused.get(id(node))) is not None:
            x = values[id(product.arguments[0])]
            (other,) = [argument for argument in node.arguments if argument is not product]
            total: Tensor = torch.baddbmm(values[id(other)], x, self._matrix(product))
            return total
        if node.op in POINTWISE and any(id(argument) in self.program.spread for argument in node.arguments):
            return self._spread(node, values)
        arguments = [self._made(argument, values) for argument in node.arguments]
        if node.op in ("product", "product_t"):
            return torch.bmm(arguments[0], self._matrix(node))
        if node.op == "aten":
            again: Tensor = node.data(*arguments)
            return again
        if node.op in POINTWISE:
            result: Tensor = POINTWISE[node.op](*arguments)
            return result
        return self._other(node, arguments)

    def _made(self, node: Node, values: Values) -> Tensor:
        if id(node) not in self.program.spread:
            return values[id(node)]
        return cubes.replayed(node.op, values[id(node.arguments[0])], node.data)

    def _spread(self, node: Node, values: Values) -> Tensor:
        """Return the result of a function some of whose arguments are spread, without making those."""
        rows = [
            values[id(argument.arguments[0] if argument.op in cubes.SPREAD else argument)]
            for argument in node.arguments
        ]
        return cubes.computed(node, rows, POINTWISE[node.op])

    def _other(self, node: Node, arguments: list[Tensor]) -> Tensor:
        if node.op == "vector":
            vector: Tensor = self.leaves[node.data.index]
            return vector
        if node.op == "constant":
            return (
                self.leaves[0].new_full((), node.data)
                if node.width == 1
                else self.leaves[0].new_full((1, 1, node.width), node.data)
            )
        (x, *_) = arguments
        if node.op == "slice":
            return x[..., node.data : node.data + node.width]
        if node.op == "cat":
            shape = torch.broadcast_shapes(*(row.shape[:-1] for row in arguments if row.dim() == 3))
            return torch.cat(
                [row.expand(*shape, piece.width) for row, piece in zip(arguments, node.arguments, strict=True)], -1
            )
        if node.op == "expand":
            return x.expand(*x.shape[:-1], node.width)
        if node.op in CUBES:
            return cubes.replayed(node.op, x, node.data)
        if node.op == "sum":
            summed: Tensor = torch.sum(x, -1, keepdim=True)
            return summed
        assert node.op == "max", node.op
        largest: Tensor = torch.amax(x, -1, keepdim=True)
        return largest

    def _matrix(self, node: Node) -> Matrix:
        leaf = node.data
        matrix: Tensor = self.leaves[leaf.index][:, leaf.first : leaf.first + leaf.rows]
        return matrix.mT if node.op == "product_t" else matrix

    def start(self, state: Sequence[Row], input: Row, upstream: Sequence[Row] = ()) -> Values:
        """Return the values of what comes in."""
        given: dict[tuple[str, int | None], Tensor] = {("state", i): row for i, row in enumerate(state)}
        given |= {("upstream", i): row for i, row in enumerate(upstream)} | {("input", None): input}
        nodes = [*self.program.forward, *self.program.backward]
        return {id(node): given[node.op, node.data] for node in nodes if (node.op, node.data) in given}

    def step(self, state: Sequence[Row], input: Row) -> tuple[tuple[Row, ...], Values]:
        """Return the state after the step, and all values."""
        values = self.start(state, input)
        self.evaluate(self.program.forward, values)
        after = zip(self.program.graph.after, state, strict=True)
        return tuple(values[id(node)].expand(part.shape) for node, part in after), values

    def back(self, kept: Values, state: Sequence[Row], input: Row, upstream: Sequence[Row]) -> Values:
        """Return all values of the way back over a step."""
        values = kept | self.start(state, input, upstream)
        self.evaluate([node for node in self.program.forward if node.op == "constant"], values)
        self.evaluate(self.program.backward, values)
        return values


@dataclass(frozen=True)
class Reader:
    """The inputs, a step at a time; a token is a row with a single 1."""

    inputs: Shaped[Tensor, "replica time batch ..."]
    channels: int
    dtype: torch.dtype

    def __call__(self, step: int) -> Row:
        if self.inputs.dtype.is_floating_point:
            return self.inputs[:, step]
        return torch.nn.functional.one_hot(self.inputs[:, step].long(), self.channels).to(self.dtype)


@torch.no_grad()
def evaluate(
    program: Program,
    leaves: Sequence[Matrix],
    inputs: Shaped[Tensor, "replica time batch ..."],
    channels: int,
    outputs: int,
    start: Sequence[Row],
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs alone, from this first state."""
    run, read = Run(program, leaves), Reader(inputs, channels, leaves[0].dtype)
    state, shown = tuple(start), list[Tensor]()
    for step in range(inputs.shape[1]):
        state, _ = run.step(state, read(step))
        if step >= inputs.shape[1] - outputs:
            shown.append(state[0])
    return torch.stack(shown, dim=1)


def unroll(
    cell: Cell,
    program: Program,
    leaves: Sequence[Matrix],
    inputs: Shaped[Tensor, "replica time batch ..."],
    channels: int,
    outputs: int,
    norms: Norms | None,
    trace: Trace | None,
    start: Sequence[Row],
) -> Float[Tensor, "replica outputs batch hidden"]:
    """Return the outputs with a graph, from this first state."""
    request = (cell, program, inputs, channels, outputs, norms, trace)
    result: Tensor = _Unroll.apply(*request, *start, *leaves)  # type: ignore[no-untyped-call]
    return result


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        program: Program,
        inputs: Tensor,
        channels: int,
        outputs: int,
        norms: Norms | None,
        trace: Trace | None,
        *tensors: Tensor,
    ) -> Tensor:
        state, leaves = tensors[: len(cell.states)], tensors[len(cell.states) :]
        run, steps = Run(program, leaves), inputs.shape[1]
        read = Reader(inputs, channels, leaves[0].dtype)
        ctx.states, ctx.values, shown = [state], [], []
        for step in range(steps):
            state, values = run.step(state, read(step))
            ctx.states.append(state)
            ctx.values.append({name: values[name] for name in program.kept})
            if step >= steps - outputs:
                shown.append(state[0])
        ctx.save_for_backward(*leaves)
        ctx.program, ctx.read, ctx.names, ctx.norms, ctx.trace = program, read, cell.states, norms, trace
        return torch.stack(shown, dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        run, graph = Run(ctx.program, ctx.saved_tensors), ctx.program.graph
        steps, outputs, states = len(ctx.values), gradient.shape[1], ctx.states
        zero = [torch.zeros_like(part) for part in states[0]]
        running = RunningGradient(zero, ctx.names, ctx.norms, steps, ctx.trace)
        sums = SummedGradients(graph, ctx.saved_tensors)
        for step in reversed(range(steps)):
            if step >= steps - outputs:
                running.inject(gradient[:, step - steps + outputs])
            values = run.back(ctx.values[step], states[step], ctx.read(step), running.parts)
            sums.add(values, running)
            totals = [_like(values, *pair) for pair in zip(graph.totals, zero, strict=True)]
            running.advance(step, totals, [_like(values, *pair) for pair in zip(graph.before, zero, strict=True)])
        running.write()
        if ctx.trace is not None:
            torch.stack([state[0] for state in states[1:]], dim=1, out=ctx.trace.states)
        of_start = [times_power_of_two_(part.clone(), running.exponent) for part in running.parts]
        return (None,) * 7 + (*of_start, *sums.finished())


def _like(values: Values, node: Node, part: Row) -> Row:
    return values[id(node)].expand(part.shape)
