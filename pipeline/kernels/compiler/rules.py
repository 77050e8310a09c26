"""How each ATen operator is written in nodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline.kernels.compiler.ir import Graph, Leaf, Node, Total
from pipeline.kernels.compiler.trace import Call, Unsupported


@dataclass(frozen=True)
class Context:
    """Where a call stands."""

    graph: Graph
    row: Callable[[Any], Node]  # the node of an argument
    width: int  # of the result
    call: Call


@dataclass(frozen=True, eq=False)
class Again:
    """A call made once more on other rows, in the order in which it read tensors."""

    call: Call

    def __call__(self, *rows: Tensor) -> Any:
        waiting = iter(rows)
        return self.call.again(lambda _: next(waiting))

    @property
    def name(self) -> str:
        return self.call.name


Rule = Callable[..., Any]
Number = float | int


def _is(node: Node, value: Number) -> bool:
    return node.op == "constant" and node.data == value


def add(graph: Graph, x: Node, y: Node) -> Node:
    """Return x + y."""
    width = max(x.width, y.width)
    if _is(x, 0) and y.width == width:
        return y
    if _is(y, 0) and x.width == width:
        return x
    if y.op == "neg":
        return subtract(graph, x, y.arguments[0])
    if x.op == "neg":
        return subtract(graph, y, x.arguments[0])
    return graph.node("add", (x, y), width)


def subtract(graph: Graph, x: Node, y: Node) -> Node:
    """Return x - y; g a - g b is g (a - b)."""
    width = max(x.width, y.width)
    if _is(y, 0) and x.width == width:
        return x
    if x.op == y.op == "mul":
        for g, a in (x.arguments, x.arguments[::-1]):
            for other, b in (y.arguments, y.arguments[::-1]):
                if g is other and max(a.width, b.width) == width:
                    return multiply(graph, g, graph.node("sub", (a, b), width))
    return graph.node("sub", (x, y), width)


def multiply(graph: Graph, x: Node, y: Node) -> Node:
    """Return x y; a mask counts as 0 and 1."""
    width = max(x.width, y.width)
    x, y = number(graph, x), number(graph, y)
    if _is(x, 1) and y.width == width:
        return y
    if _is(y, 1) and x.width == width:
        return x
    return graph.node("mul", (x, y), width)


def number(graph: Graph, x: Node) -> Node:
    """Return x, a mask as 0 and 1."""
    return graph.node("where", (x, graph.constant(1.0), graph.constant(0.0)), x.width) if x.mask else x


def plain(op: str) -> Rule:
    """Return the rule for a function that the graph knows by itself."""

    def rule(c: Context, *arguments: Any) -> Node:
        return c.graph.node(op, [number(c.graph, c.row(item)) for item in arguments], c.width)

    return rule


def logical(op: str) -> Rule:
    """Return the rule for a function of masks."""

    def rule(c: Context, *arguments: Any) -> Node:
        rows = [c.row(item) for item in arguments]
        if not all(row.mask for row in rows):
            raise Unsupported(f"uses {c.call.name} on numbers")
        return c.graph.node(op, rows, c.width)

    return rule


def _add(c: Context, x: Any, y: Any, alpha: Number = 1) -> Node:
    other = c.row(y) if alpha == 1 else multiply(c.graph, c.row(y), c.graph.constant(alpha))
    return add(c.graph, number(c.graph, c.row(x)), number(c.graph, other))


def _sub(c: Context, x: Any, y: Any, alpha: Number = 1) -> Node:
    other = c.row(y) if alpha == 1 else multiply(c.graph, c.row(y), c.graph.constant(alpha))
    return subtract(c.graph, number(c.graph, c.row(x)), number(c.graph, other))


def _rsub(c: Context, x: Any, y: Any, alpha: Number = 1) -> Node:
    if alpha != 1:
        raise Unsupported(f"uses {c.call.name} with alpha")
    return subtract(c.graph, c.row(y), c.row(x))


def _div(c: Context, x: Any, y: Any) -> Node:
    divisor = c.row(y)
    if divisor.op == "constant" and divisor.data in (0.25, 0.5, 2.0, 4.0):
        return multiply(c.graph, c.row(x), c.graph.constant(1 / divisor.data))
    return c.graph.node("div", (number(c.graph, c.row(x)), divisor), c.width)


def _reciprocal(c: Context, x: Any) -> Node:
    return c.graph.node("div", (c.graph.constant(1.0), c.row(x)), c.width)


def _pow(c: Context, x: Any, exponent: Any) -> Node:
    row, graph = c.row(x), c.graph
    if isinstance(exponent, Tensor) or exponent not in (-1, 0.5, 1, 2, 3):
        raise Unsupported(f"uses {c.call.name} with the exponent {exponent}")
    if exponent == 0.5:
        return graph.node("sqrt", (row,), c.width)
    if exponent == -1:
        return graph.node("div", (graph.constant(1.0), row), c.width)
    square = multiply(graph, row, row)
    return {1: row, 2: square, 3: multiply(graph, square, row)}[int(exponent)]


def _addcmul(c: Context, x: Any, y: Any, z: Any, value: Number = 1) -> Node:
    product = multiply(c.graph, c.row(y), c.row(z))
    return add(c.graph, c.row(x), product if value == 1 else multiply(c.graph, product, c.graph.constant(value)))


def _lerp(c: Context, x: Any, y: Any, weight: Any) -> Node:
    start = c.row(x)
    return add(c.graph, start, multiply(c.graph, c.row(weight), subtract(c.graph, c.row(y), start)))


def _clamp(c: Context, x: Any, low: Any = None, high: Any = None) -> Node:
    found = c.row(x)
    if low is not None:
        found = c.graph.node("maximum", (found, c.row(low)), c.width)
    return found if high is None else c.graph.node("minimum", (found, c.row(high)), c.width)


def _silu(c: Context, x: Any) -> Node:
    row = c.row(x)
    return multiply(c.graph, row, c.graph.node("sigmoid", (row,)))


def _silu_backward(c: Context, gradient: Any, x: Any) -> Node:
    graph, row, one = c.graph, c.row(x), c.graph.constant(1.0)
    s = graph.node("sigmoid", (row,))
    slope = multiply(graph, s, add(graph, one, multiply(graph, row, subtract(graph, one, s))))
    return multiply(graph, c.row(gradient), slope)


def _softplus(c: Context, x: Any, beta: Number = 1, threshold: Number = 20) -> Node:
    """x where it is large, else log(1 + e^x)."""
    graph, row = c.graph, c.row(x)
    if beta != 1:
        raise Unsupported(f"uses {c.call.name} with beta")
    large = graph.node("gt", (row, graph.constant(threshold)), c.width)
    return graph.node("where", (large, row, graph.node("log1p", (graph.node("exp", (row,)),))), c.width)


def _softplus_backward(c: Context, gradient: Any, x: Any, beta: Number, threshold: Number) -> Node:
    graph, row, g = c.graph, c.row(x), c.row(gradient)
    if beta != 1:
        raise Unsupported(f"uses {c.call.name} with beta")
    large = graph.node("gt", (row, graph.constant(threshold)), c.width)
    return graph.node("where", (large, g, multiply(graph, g, graph.node("sigmoid", (row,)))), c.width)


def _log_sigmoid(c: Context, x: Any) -> list[Node]:
    """min(0, x) - log(1 + e^-|x|); torch's second result serves its own way back alone."""
    graph, row = c.graph, c.row(x)
    power = graph.node("exp", (graph.node("neg", (graph.node("abs", (row,)),)),))
    low = graph.node("minimum", (row, graph.constant(0.0)), c.width)
    found = graph.node("sub", (low, graph.node("log1p", (power,))))
    return [found, found]


def _log_sigmoid_backward(c: Context, gradient: Any, x: Any, _: Any) -> Node:
    graph = c.graph
    slope = graph.node("sigmoid", (graph.node("neg", (c.row(x),)),))
    return multiply(graph, c.row(gradient), slope)


def _threshold_backward(c: Context, gradient: Any, x: Any, threshold: Number) -> Node:
    graph = c.graph
    low = graph.node("le", (c.row(x), graph.constant(threshold)), c.width)
    return graph.node("where", (low, graph.constant(0.0), c.row(gradient)), c.width)


def _where(c: Context, mask: Any, x: Any, y: Any) -> Node:
    chosen = c.row(mask)
    if not chosen.mask:
        raise Unsupported(f"uses {c.call.name} on numbers")
    return c.graph.node("where", (chosen, c.row(x), c.row(y)), c.width)


def _masked_fill(c: Context, x: Any, mask: Any, value: Any) -> Node:
    return _where(c, mask, value, x)


def _slice(c: Context, x: Any, axis: int = 0, begin: int | None = 0, end: int | None = None, step: int = 1) -> Node:
    if axis % x.dim() == 0 or step != 1:
        if c.call.result.shape == x.shape:
            return c.row(x)
        raise Unsupported(f"uses {c.call.name} across sequences")
    begin = begin or 0
    return part(c.graph, c.row(x), begin + (x.shape[1] if begin < 0 else 0), c.width)


def part(graph: Graph, x: Node, begin: int, width: int) -> Node:
    """Return columns `begin` to `begin + width - 1` of x."""
    if width == x.width:
        return x
    if x.op == "constant":
        return graph.constant(x.data, width)
    if x.op == "product_t":
        return graph.node("product_t", x.arguments, width, Leaf(x.data.index, x.data.first + begin, width))
    if x.op == "cat":
        at = 0
        for piece in x.arguments:
            if at <= begin and begin + width <= at + piece.width:
                return part(graph, piece, begin - at, width)
            at += piece.width
    return graph.node("slice", (x,), width, begin)


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


def _filled(value: float | None) -> Rule:
    def rule(c: Context, *arguments: Any, **_: Any) -> Node:
        number = arguments[-1] if value is None else value
        if isinstance(number, Tensor):
            raise Unsupported(f"uses {c.call.name} with a tensor")
        return c.graph.constant(number, c.width)

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
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    **{op: plain(op) for op in ("neg", "sigmoid", "tanh", "exp", "expm1", "log", "log1p", "sin", "cos", "erf")},
    **{op: plain(op) for op in ("sqrt", "rsqrt", "abs", "sign", "relu", "maximum", "minimum")},
    **{op: plain(op) for op in ("gt", "ge", "lt", "le", "eq", "ne", "sigmoid_backward", "tanh_backward")},
    "sgn": plain("sign"),
    "max.other": plain("maximum"),
    "min.other": plain("minimum"),
    **{f"{kind}_{op}": logical(op) for kind in ("logical", "bitwise") for op in ("and", "or", "not")},
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "mul": lambda c, x, y: multiply(c.graph, c.row(x), c.row(y)),
    "div.Tensor": _div,
    "div.Scalar": _div,
    "reciprocal": _reciprocal,
    "pow.Tensor_Scalar": _pow,
    "square": lambda c, x: _pow(c, x, 2),
    "addcmul": _addcmul,
    "lerp": _lerp,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda c, x, high: _clamp(c, x, None, high),
    "hardtanh": lambda c, x, low=-1.0, high=1.0: _clamp(c, x, low, high),
    "silu": _silu,
    "silu_backward": _silu_backward,
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "log_sigmoid_forward": _log_sigmoid,
    "log_sigmoid_backward": _log_sigmoid_backward,
    "threshold_backward": _threshold_backward,
    "where.self": _where,
    "masked_fill": _masked_fill,
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
    "zeros": _filled(0.0),
    "ones": _filled(1.0),
    "scalar_tensor": _filled(None),
    "full": _filled(None),
    "fill": _filled(None),
    "empty": lambda c, *_, **__: c.graph.constant(float("nan"), c.width),  # filled next
    "empty_like": lambda c, *_, **__: c.graph.constant(float("nan"), c.width),
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "new_zeros": _filled(0.0),
    "new_ones": _filled(1.0),
    "full_like": _filled(None),
    "new_full": _filled(None),
    "_softmax": _softmax,
    "_softmax_backward_data": _softmax_backward,
}
