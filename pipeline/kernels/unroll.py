"""A cell through time, all replicas at once: the one door to the kernels, which checks and chooses."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.errors import require
from pipeline.kernels import batched, fused, stepwise
from pipeline.kernels.scaling import Norms

KERNELS = ("auto", "fused", "torch", "stepwise")


def unroll(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Float[Tensor, "replica time batch input"] | Integer[Tensor, "replica time batch"],
    outputs: int,
    norms: Norms | None = None,
    *,
    kernel: str = "auto",
    channels: int | None = None,
    threads: int | None = None,
) -> Float[Tensor, "replica outputs batch hidden"]:
    """The cell's output after each of the last `outputs` steps, from a zero state; differentiable by the weights.

    Integers are tokens, one-hot inputs of width `channels` (by default that of weight_ih). `norms`, one tensor
    [replica, time] for each of cell.states, is filled by the backward pass: log2 of the Frobenius norm, over batch
    and hidden, of dL/d(state after step t), each replica alone, equal to what autograd's retain_grad sees, without
    underflow or overflow; scaling.FLOOR where the gradient is exactly zero.

    kernel    fused     C++, for RNN, GRU and LSTM on the CPU; where it cannot be built, a warning and torch
              torch     for those three a backward pass written by hand, else as stepwise
              stepwise  any cell, from its `forward` alone
              auto      the first of these that serves the cell and the device
    threads   of the fused kernel, each for replicas of its own, by default torch.get_num_threads(); results do not
              depend on it
    """
    channels = _checked(cell, weights, inputs, outputs, norms, channels)
    kernel = _chosen(kernel, cell, inputs)
    if kernel == "stepwise":
        return stepwise.unroll(cell, weights, inputs, outputs, norms, channels)
    if kernel == "torch":
        return batched.unroll(cell, weights, inputs, outputs, norms)
    return fused.unroll(cell, weights, inputs, outputs, norms, threads or torch.get_num_threads())


def _chosen(kernel: str, cell: Cell, inputs: Tensor) -> str:
    """One of fused, torch, stepwise."""
    require(kernel in KERNELS, "training.kernel", f"must be one of {', '.join(KERNELS)}", kernel)
    known = type(cell) in batched.PASSES
    served = known and inputs.device.type == "cpu"
    name = f"{kernel} with the cell {type(cell).__name__} on {inputs.device.type}"
    require(kernel != "fused" or served, "training.kernel", "fused serves RNN, GRU and LSTM on the CPU", name)
    if kernel in ("auto", "fused") and served and fused.available():
        return "fused"
    return "torch" if known and kernel != "stepwise" else "stepwise"


def _checked(
    cell: Cell,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    outputs: int,
    norms: Mapping[str, Tensor] | None,
    channels: int | None,
) -> int:
    """The number of input channels; ValueError where shapes or types do not fit."""
    tokens = not inputs.dtype.is_floating_point
    _must(inputs.dim() == (3 if tokens else 4), "inputs are [replica, time, batch, input], or tokens", inputs)
    _must(inputs.numel() > 0, "inputs are not empty", inputs)
    _must(not inputs.requires_grad, "inputs get no gradient, so they don't require one", inputs)
    _must(1 <= outputs <= inputs.shape[1], f"outputs is from 1 to the number of steps, not {outputs}", inputs)
    width = channels or _width(weights, inputs)
    _must(tokens or inputs.shape[-1] == width, f"inputs have {width} channels", inputs)
    _check_weights(cell, weights, inputs, width)
    if tokens:
        _must(inputs.dtype in (torch.uint8, torch.int64), "tokens are uint8 or int64", inputs)
        _must(int(inputs.min()) >= 0 and int(inputs.max()) < width, f"tokens are from 0 to {width - 1}", inputs)
    if norms is not None:
        _must(set(norms) == set(cell.states), f"norms are named {cell.states}, not {tuple(norms)}", inputs)
        for norm in norms.values():
            _must(norm.shape == inputs.shape[:2] and norm.dtype.is_floating_point, "norms are [replica, time]", norm)
    return width


def _check_weights(cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, width: int) -> None:
    dtypes = {weight.dtype for weight in weights.values()}
    _must(len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}, f"weights are float32 or float64: {dtypes}")
    if inputs.dtype.is_floating_point:
        _must(inputs.dtype in dtypes, f"inputs are of the weights' type, {dtypes}", inputs)
    for name, weight in weights.items():
        _must(weight.dim() >= 1 and len(weight) == len(inputs), f"{name} has one row a replica, {len(inputs)}", weight)
        _must(weight.device == inputs.device, f"{name} is on {inputs.device}", weight)
    if type(cell) in batched.PASSES:
        gates = len(batched.PASSES[type(cell)].order)
        rows = gates * cell.hidden
        shapes = {"weight_ih": (rows, width), "weight_hh": (rows, cell.hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
        _must(set(weights) == set(shapes), f"the weights are {', '.join(shapes)}, not {', '.join(weights)}")
        for name, shape in shapes.items():
            _must(weights[name].shape[1:] == shape, f"{name} is {list(shape)} for each replica", weights[name])


def _width(weights: Mapping[str, Tensor], inputs: Tensor) -> int:
    if inputs.dtype.is_floating_point:
        return inputs.shape[-1]
    if "weight_ih" not in weights:
        raise ValueError("tokens need `channels`, for the weights have no weight_ih to tell the width")
    return weights["weight_ih"].shape[-1]


def _must(kept: bool, rule: str, tensor: Tensor | None = None) -> None:
    if not kept:
        raise ValueError(rule if tensor is None else f"{rule}; got {tensor.dtype} {list(tensor.shape)}")
