"""How the ATen operators are written in nodes that cut rows, put them side by side, or add up over the units."""

from typing import Any

from pipeline.kernels.compiler.calls import Context, Rule, add, multiply, number, part, subtract
from pipeline.kernels.compiler.ir import Node, Total
from pipeline.kernels.compiler.trace import Unsupported


def _slice(c: Context, x: Any, axis: int = 0, begin: int | None = 0, end: int | None = None, step: int = 1) -> Node:
    if axis % x.dim() == 0 or step != 1:
        if c.call.result.shape == x.shape:
            return c.row(x)
        raise Unsupported(f"uses {c.call.name} across sequences")
    begin = begin or 0
    return part(c.graph, c.row(x), begin + (x.shape[1] if begin < 0 else 0), c.width)


def _split(c: Context, x: Any, sizes: Any, axis: int = 0) -> list[Node]:
    if axis % x.dim() == 0:
        raise Unsupported(f"uses {c.call.name} across sequences")
    row, begin, found = c.row(x), 0, []
    for result in c.call.result:
        found.append(part(c.graph, row, begin, result.shape[1]))
        begin += result.shape[1]
    return found


def _select(c: Context, x: Any, axis: int, index: int) -> Node:
    if axis % x.dim() == 0:
        raise Unsupported(f"uses {c.call.name} across sequences")
    return part(c.graph, c.row(x), index % x.shape[1], 1)


def _unbind(c: Context, x: Any, axis: int = 0) -> list[Node]:
    return [_select(c, x, axis, index) for index in range(x.shape[axis])]


def _cat(c: Context, rows: Any, axis: int = 0) -> Node:
    if axis % rows[0].dim() == 0:
        raise Unsupported(f"uses {c.call.name} across sequences")
    pieces: list[Node] = []
    for item in rows:
        row = c.row(item)
        pieces += row.arguments if row.op == "cat" else [row]
    return c.graph.node("cat", pieces, c.width)


def _padded(c: Context, gradient: Node, begin: int) -> Node:
    after = c.width - begin - gradient.width
    pieces = [c.graph.constant(0.0, begin)] if begin else []
    pieces += [gradient] + ([c.graph.constant(0.0, after)] if after else [])
    return pieces[0] if len(pieces) == 1 else c.graph.node("cat", pieces, c.width)


def _slice_backward(c: Context, gradient: Any, sizes: Any, axis: int, begin: int, end: int, step: int) -> Node:
    if axis % len(sizes) == 0 or step != 1:
        raise Unsupported(f"uses {c.call.name} across sequences")
    return _padded(c, c.row(gradient), begin % sizes[1] if begin else 0)


def _select_backward(c: Context, gradient: Any, sizes: Any, axis: int, index: int) -> Node:
    if axis % len(sizes) == 0:
        raise Unsupported(f"uses {c.call.name} across sequences")
    return _padded(c, c.row(gradient), index % sizes[1])


def _expand(c: Context, x: Any, sizes: Any, implicit: bool = False) -> Node:
    row = c.row(x)
    return row if row.width == c.width else c.graph.node("expand", (row,), c.width)


def _over_units(op: str) -> Rule:
    def rule(c: Context, x: Any, axes: Any = None, keepdim: bool = False, **_: Any) -> Node:
        row = number(c.graph, c.row(x))
        named = [axes] if isinstance(axes, int) else axes
        if x.dim() != 2 or not named or [axis % 2 for axis in named] != [1]:
            raise Unsupported(f"uses {c.call.name} across sequences")
        if op == "mean":
            return multiply(c.graph, c.graph.node("sum", (row,), 1), c.graph.constant(1 / x.shape[1]))
        return c.graph.node(op, (row,), 1)

    return rule


def _softmax(c: Context, x: Any, axis: int, half: bool) -> Node:
    graph, row = c.graph, c.row(x)
    if axis % x.dim() == 0:
        raise Unsupported(f"uses {c.call.name} across sequences")
    powers = graph.node("exp", (subtract(graph, row, graph.node("max", (row,), 1)),))
    return graph.node("div", (powers, graph.node("sum", (powers,), 1)))


def _softmax_backward(c: Context, gradient: Any, output: Any, axis: int, dtype: Any) -> Node:
    graph, g, y = c.graph, c.row(gradient), c.row(output)
    mean = graph.node("sum", (multiply(graph, g, y),), 1)
    return multiply(graph, y, graph.node("sub", (g, mean)))


def _centred(c: Context, x: Node, mean: Node, scale: Node) -> Node:
    return multiply(c.graph, c.graph.node("sub", (x, mean)), scale)


def _layer_norm(c: Context, x: Any, shape: Any, weight: Any, bias: Any, epsilon: float) -> list[Node]:
    """(x - mean) / sqrt(variance + epsilon), times weight, plus bias; with the mean and 1 / sqrt."""
    graph, row = c.graph, c.row(x)
    if list(shape) != [x.shape[1]]:
        raise Unsupported(f"uses {c.call.name} across sequences")
    over = graph.constant(1 / x.shape[1])
    mean = multiply(graph, graph.node("sum", (row,), 1), over)
    apart = graph.node("sub", (row, mean))
    variance = multiply(graph, graph.node("sum", (multiply(graph, apart, apart),), 1), over)
    scale = graph.node("rsqrt", (add(graph, variance, graph.constant(epsilon)),))
    found = multiply(graph, apart, scale)
    found = found if weight is None else multiply(graph, found, c.row(weight))
    return [found if bias is None else add(graph, found, c.row(bias)), mean, scale]


def _layer_norm_backward(
    c: Context, gradient: Any, x: Any, shape: Any, mean: Any, scale: Any, weight: Any, bias: Any, wanted: Any
) -> list[Node | Total]:
    graph, g, over = c.graph, c.row(gradient), c.graph.constant(1 / x.shape[1])
    normed = _centred(c, c.row(x), c.row(mean), c.row(scale))
    inner = g if weight is None else multiply(graph, g, c.row(weight))
    along = multiply(graph, graph.node("sum", (multiply(graph, inner, normed),), 1), over)
    level = multiply(graph, graph.node("sum", (inner,), 1), over)
    back = graph.node("sub", (graph.node("sub", (inner, level)), multiply(graph, normed, along)))
    found: list[Node | Total] = [multiply(graph, back, c.row(scale)), Total(multiply(graph, g, normed)), Total(g)]
    return [each for each, is_wanted in zip(found, wanted, strict=True) if is_wanted]


RULES: dict[str, Rule] = {
    "slice": _slice,
    "split": _split,
    "split_with_sizes": _split,
    "select": _select,
    "unbind": _unbind,
    "cat": _cat,
    "slice_backward": _slice_backward,
    "select_backward": _select_backward,
    "expand": _expand,
    "sum.dim_IntList": _over_units("sum"),
    "mean.dim": _over_units("mean"),
    "amax": _over_units("max"),
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "_softmax": _softmax,
    "_softmax_backward_data": _softmax_backward,
}
