"""The functions of a block as C++; vectors of numbers for the units, or all lanes the same."""

import math
from collections.abc import Callable, Mapping

from pipeline.kernels.compiler.blocks import Block
from pipeline.kernels.compiler.trace import Unsupported

EXPRESSIONS: Mapping[str, Callable[..., str]] = {
    "add": "{} + {}".format,
    "sub": "{} - {}".format,
    "mul": "{} * {}".format,
    "div": "{} / {}".format,
    "neg": "-{}".format,
    "sigmoid": "sigmoid<T>({})".format,
    "tanh": "tanh<T>({})".format,
    "exp": "exp<T>({})".format,
    "log": "log<T>({})".format,
    "log1p": "log1p<T>({})".format,
    "sqrt": "each<T>({}, [](T x) {{ return std::sqrt(x); }})".format,
    "rsqrt": "T(1) / each<T>({}, [](T x) {{ return std::sqrt(x); }})".format,
    **{
        name: f"each<T>({{}}, [](T x) {{{{ return std::{name}(x); }}}})".format
        for name in ("expm1", "sin", "cos", "erf")
    },
    "abs": "({0} < T(0) ? -{0} : {0})".format,
    "sign": "({0} > T(0) ? all<T>(1) : {0} < T(0) ? all<T>(-1) : V<T>{{}})".format,
    "relu": "({0} < T(0) ? V<T>{{}} : {0})".format,
    "maximum": "larger<T>({}, {})".format,
    "minimum": "-larger<T>(-{}, -{})".format,
    "where": "({} ? {} : {})".format,
    "sigmoid_backward": "{0} * (T(1) - {1}) * {1}".format,
    "tanh_backward": "{0} * (T(1) - {1} * {1})".format,
    "gt": "({} > {})".format,
    "ge": "({} >= {})".format,
    "lt": "({} < {})".format,
    "le": "({} <= {})".format,
    "eq": "({} == {})".format,
    "ne": "({} != {})".format,
    "and": "({} & {})".format,
    "or": "({} | {})".format,
    "not": "(~{})".format,
}


def expression(block: Block, names: list[str]) -> str:
    """Return the C++ of a block from the names of its arguments."""
    if block.op not in EXPRESSIONS:
        raise Unsupported(f"uses {block.op}, which is not written in C++")
    return EXPRESSIONS[block.op](*names)


def constant(value: float) -> str:
    """Return a vector of one number."""
    if math.isnan(value):
        return "all<T>(std::numeric_limits<T>::quiet_NaN())"
    if math.isinf(value):
        return f"all<T>({'-' if value < 0 else ''}std::numeric_limits<T>::infinity())"
    return f"all<T>(T({value!r}))"
