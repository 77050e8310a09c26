"""How the ATen operators that go number by number are written in nodes."""

from typing import Any

from torch import Tensor

from pipeline.kernels.compiler.calls import Context, Number, Rule, add, multiply, number, subtract
from pipeline.kernels.compiler.ir import Node
from pipeline.kernels.compiler.trace import Unsupported


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
    """Return x where it is large, else log(1 + e^x)."""
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
    """Return min(0, x) - log(1 + e^-|x|); torch's second result serves its own way back alone."""
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


def _filled(value: float | None) -> Rule:
    def rule(c: Context, *arguments: Any, **_: Any) -> Node:
        number = arguments[-1] if value is None else value
        if isinstance(number, Tensor):
            raise Unsupported(f"uses {c.call.name} with a tensor")
        return c.graph.constant(number, c.width)

    return rule


RULES: dict[str, Rule] = {
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
}
