"""The pure steps against torch.nn.RNN, GRU and LSTM: outputs, last state, and every gradient."""

import pytest
import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN

HIDDEN, INPUTS, TIME, BATCH = 11, 3, 25, 6
PAIRS = [
    (RNN(HIDDEN, "torch"), torch.nn.RNN),
    (GRU(HIDDEN, "torch", update_bias=0.7), torch.nn.GRU),
    (LSTM(HIDDEN, "torch", forget_bias=0.7), torch.nn.LSTM),
]
Answer = dict[str, Tensor]


def near(found: Answer, expected: Answer, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, truth in expected.items():
        worst = (found[name] - truth).abs().max() / truth.abs().max()
        assert worst <= tolerance, f"{name}: {worst}"


def ours(cell: Cell, weights: Answer, inputs: Tensor, begin: list[Tensor], upstream: Tensor) -> Answer:
    weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    inputs, begin = inputs.detach().requires_grad_(), [part.detach().requires_grad_() for part in begin]
    state, outputs = tuple(begin), []
    for step in range(TIME):
        state = cell.forward(weights, state, inputs[step])
        outputs.append(state[0])
    return answer(torch.stack(outputs), list(state), weights, inputs, begin, upstream)


def theirs(
    kind: type[torch.nn.RNNBase], weights: Answer, inputs: Tensor, begin: list[Tensor], upstream: Tensor
) -> Answer:
    module = kind(INPUTS, HIDDEN).to(inputs.dtype)
    module.load_state_dict({f"{name}_l0": weight for name, weight in weights.items()})
    inputs, begin = inputs.detach().requires_grad_(), [part.detach().requires_grad_() for part in begin]
    first = [part.unsqueeze(0) for part in begin]
    outputs, last = module(inputs, tuple(first) if len(first) > 1 else first[0])
    ends = [part[0] for part in (last if isinstance(last, tuple) else (last,))]
    named = {name.removesuffix("_l0"): weight for name, weight in module.named_parameters()}
    return answer(outputs, ends, named, inputs, begin, upstream)


def answer(
    outputs: Tensor, ends: list[Tensor], weights: Answer, inputs: Tensor, begin: list[Tensor], upstream: Tensor
) -> Answer:
    ((outputs * upstream).sum() + sum(end.sin().sum() for end in ends)).backward()
    found = {"outputs": outputs, **{f"end {index}": end for index, end in enumerate(ends)}}
    leaves = {**weights, "inputs": inputs, **{f"begin {index}": part for index, part in enumerate(begin)}}
    gradients = {f"d/d {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    assert len(gradients) == len(leaves)
    return {name: tensor.detach() for name, tensor in (found | gradients).items()}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
@pytest.mark.parametrize(("cell", "kind"), PAIRS, ids=["rnn", "gru", "lstm"])
def test_a_cell_equals_the_one_of_torch(
    cell: Cell, kind: type[torch.nn.RNNBase], dtype: torch.dtype, tolerance: float
) -> None:
    random = torch.Generator().manual_seed(0)
    weights = {name: weight.to(dtype) for name, weight in cell.weights(INPUTS, random).items()}
    inputs, upstream = (torch.randn(TIME, BATCH, size, generator=random).to(dtype) for size in (INPUTS, HIDDEN))
    begin = [torch.randn(BATCH, HIDDEN, generator=random).to(dtype) for _ in cell.states]
    near(ours(cell, weights, inputs, begin, upstream), theirs(kind, weights, inputs, begin, upstream), tolerance)


@pytest.mark.parametrize(("cell", "kind"), PAIRS, ids=["rnn", "gru", "lstm"])
def test_weights_have_the_names_and_shapes_of_torch(cell: Cell, kind: type[torch.nn.RNNBase]) -> None:
    expected = {name.removesuffix("_l0"): weight.shape for name, weight in kind(INPUTS, HIDDEN).named_parameters()}
    drawn = cell.weights(INPUTS, torch.Generator().manual_seed(0))
    assert {name: weight.shape for name, weight in drawn.items()} == expected
