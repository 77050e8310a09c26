"""What `unroll` is given, checked: shapes, types and devices fit, or a ValueError says in words which do not.

A training asks the same thing again and again, so the answer for the same shapes is remembered.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.cells.cell import Cell


class Kind(NamedTuple):
    """A tensor without its numbers."""

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class Request(NamedTuple):
    """What is asked for, without its numbers."""

    inputs: Kind
    outputs: int
    channels: int | None
    hidden: int
    states: tuple[str, ...]
    gates: int | None  # rows of weight_ih, in units of hidden; None where the cell is a user's
    weights: tuple[tuple[str, Kind], ...]
    norms: tuple[tuple[str, Kind], ...] | None


def input_width(
    cell: Cell,
    gates: int | None,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    outputs: int,
    norms: Mapping[str, Tensor] | None,
    channels: int | None,
) -> int:
    """Return the number of input channels, if all is well."""
    kinds = None if norms is None else _kinds(norms)
    request = Request(_kind(inputs), outputs, channels, cell.hidden, cell.states, gates, _kinds(weights), kinds)
    width = _width_if_well(request)
    _must(not inputs.requires_grad, "inputs get no gradient, so they don't require one", request.inputs)
    if not inputs.dtype.is_floating_point:
        fit = int(inputs.min()) >= 0 and int(inputs.max()) < width
        _must(fit, f"tokens are from 0 to {width - 1}", request.inputs)
    return width


@lru_cache(maxsize=256)
def _width_if_well(request: Request) -> int:
    inputs, steps = request.inputs, request.inputs.shape[1:2].numel()
    tokens = not inputs.dtype.is_floating_point
    _must(len(inputs.shape) == (3 if tokens else 4), "inputs are [replica, time, batch, input], or tokens", inputs)
    _must(not tokens or inputs.dtype in (torch.uint8, torch.int64), "tokens are uint8 or int64", inputs)
    _must(inputs.shape.numel() > 0, "inputs are not empty", inputs)
    _must(1 <= request.outputs <= steps, f"outputs is from 1 to the number of steps, not {request.outputs}", inputs)
    width = request.channels or _width(request)
    _must(tokens or inputs.shape[-1] == width, f"inputs have {width} channels", inputs)
    _check_weights(request)
    if request.gates is not None:
        _check_shapes(request, request.gates * request.hidden, width)
    if request.norms is not None:
        _check_norms(request, request.norms)
    return width


def _width(request: Request) -> int:
    if request.inputs.dtype.is_floating_point:
        return request.inputs.shape[-1]
    for name, kind in request.weights:
        if name == "weight_ih":
            return kind.shape[-1]
    raise ValueError("tokens need `channels`, for the weights have no weight_ih to tell the width")


def _check_weights(request: Request) -> None:
    """Require that all weights are of one type, on the inputs' device, and have a row for each replica."""
    dtypes, inputs = {kind.dtype for _, kind in request.weights}, request.inputs
    _must(len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}, "weights are all float32 or all float64")
    if inputs.dtype.is_floating_point:
        _must(inputs.dtype in dtypes, f"inputs are of the weights' type, {min(dtypes, key=str)}", inputs)
    for name, kind in request.weights:
        replicas = inputs.shape[0]
        _must(kind.shape[:1] == (replicas,), f"{name} has one row a replica, {replicas}", kind)
        _must(kind.device == inputs.device, f"{name} is on {inputs.device}, not on {kind.device}")


def _check_shapes(request: Request, rows: int, width: int) -> None:
    """Require that the weights are those of torch.nn."""
    shapes = {"weight_ih": (rows, width), "weight_hh": (rows, request.hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    weights = dict(request.weights)
    _must(set(weights) == set(shapes), f"the weights are {', '.join(shapes)}, not {', '.join(weights)}")
    for name, shape in shapes.items():
        _must(weights[name].shape[1:] == shape, f"{name} is {list(shape)} for each replica", weights[name])


def _check_norms(request: Request, norms: tuple[tuple[str, Kind], ...]) -> None:
    names = {name for name, _ in norms}
    _must(names == set(request.states), f"norms are named {', '.join(request.states)}, not {', '.join(names)}")
    for _, kind in norms:
        fit = kind.shape == request.inputs.shape[:2] and kind.dtype.is_floating_point
        _must(fit, "norms are [replica, time]", kind)


def _kind(tensor: Tensor) -> Kind:
    return Kind(tensor.shape, tensor.dtype, tensor.device)


def _kinds(tensors: Mapping[str, Tensor]) -> tuple[tuple[str, Kind], ...]:
    return tuple((name, _kind(tensor)) for name, tensor in tensors.items())


def _must(kept: bool, rule: str, kind: Kind | None = None) -> None:
    if not kept:
        raise ValueError(rule if kind is None else f"{rule}; got {kind}")
