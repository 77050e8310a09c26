"""The truth that the kernels are held to: an unrolled loop of the cell's step under autograd."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from pipeline.kernels.unroll import unroll

CELLS = ("rnn", "gru", "lstm")
FAST = ("torch", "fused")  # kernels that serve these cells and no other
KERNELS = ("stepwise", *FAST)
NOISE = {"slstm": ("m",)}  # the maximum cancels in what it scales, so its gradient is zero but for rounding

Weights = dict[str, Tensor]


def make_cell(name: str, hidden: int, init: str = "torch") -> Cell:
    """One of CELLS."""
    if name == "rnn":
        return RNN(hidden, init)
    return GRU(hidden, init, 0.0) if name == "gru" else LSTM(hidden, init, 0.0)


def make_weights(
    cell: Cell, replicas: int, channels: int, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Weights:
    """Fresh weights of all replicas, to be differentiated by."""
    random = torch.Generator().manual_seed(seed)
    drawn = [cell.weights(channels, random) for _ in range(replicas)]
    return {name: torch.stack([one[name] for one in drawn]).to(dtype).requires_grad_() for name in drawn[0]}


def draw(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@dataclass(frozen=True)
class Result:
    """What a pass gives: outputs, the gradients of the weights, and log2 norms through time."""

    outputs: Tensor
    gradients: Weights
    norms: Weights

    def on(self, device: str) -> "Result":
        """The same, there."""
        gradients = {name: gradient.to(device) for name, gradient in self.gradients.items()}
        return Result(self.outputs.to(device), gradients, {name: norm.to(device) for name, norm in self.norms.items()})


def by_autograd(cell: Cell, weights: Weights, inputs: Tensor, upstream: Tensor) -> Result:
    """The slow way; the loss is the sum of outputs times `upstream` [replica, outputs, batch, hidden]."""
    state: State = tuple(inputs.new_zeros(len(inputs), inputs.shape[2], cell.hidden) for _ in cell.states)
    states = []
    for step in range(inputs.shape[1]):
        state = cell.forward(weights, state, inputs[:, step])
        for part in state:
            part.retain_grad()
        states.append(state)
    outputs = torch.stack([state[0] for state in states[-upstream.shape[1] :]], dim=1)
    found = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), materialize_grads=True)
    return Result(outputs.detach(), dict(zip(weights, found, strict=True)), _norms(cell, states))


def _norms(cell: Cell, states: list[State]) -> Weights:
    named = {}
    for index, name in enumerate(cell.states):
        gradients = torch.stack([state[index].grad for state in states], dim=1)  # type: ignore[misc]
        named[name] = gradients.flatten(2).norm(dim=2).log2()
    return named


def by_kernel(
    kernel: str,
    cell: Cell,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    upstream: Tensor,
    threads: int | None = None,
    channels: int | None = None,
) -> Result:
    """The same from one of the kernels."""
    norms = {name: upstream.new_full(inputs.shape[:2], torch.nan) for name in cell.states}
    given = {"kernel": kernel, "threads": threads, "channels": channels}
    outputs = unroll(cell, weights, inputs, upstream.shape[1], norms, **given)  # type: ignore[arg-type]
    found = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()), materialize_grads=True)
    return Result(outputs.detach(), dict(zip(weights, found, strict=True)), norms)


def assert_close(result: Result, truth: Result, tolerance: float) -> None:
    """Outputs, gradients and norms agree, relative to the largest entry of each."""
    _assert_near(result.outputs, truth.outputs, tolerance)
    for name, gradient in truth.gradients.items():
        _assert_near(result.gradients[name], gradient, tolerance)
    for name, norm in truth.norms.items():
        assert result.norms[name].isfinite().all()
        torch.testing.assert_close(result.norms[name].to(norm.dtype), norm, rtol=0, atol=max(10_000 * tolerance, 1e-12))


def _assert_near(result: Tensor, truth: Tensor, tolerance: float) -> None:
    scale = float(truth.abs().max())
    torch.testing.assert_close(result.to(truth.dtype), truth, rtol=0, atol=tolerance * max(scale, 1e-30))
