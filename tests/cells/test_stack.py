"""Layers of cells, against torch.nn with as many layers."""

from dataclasses import dataclass

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.cells.check import require_sound
from pipeline.cells.lstm import LSTM
from pipeline.cells.stack import Stack
from tests.cells.hooked import Hooked

HIDDEN, INPUTS, TIME, BATCH, REPLICAS = 7, 3, 12, 5, 2


@dataclass(frozen=True)
class LSTMs(Stack):
    def layer(self, number: int) -> Cell:
        return LSTM(self.hidden, self.init, forget_bias=1.0 * number)


@dataclass(frozen=True)
class Hookeds(Stack):
    def layer(self, number: int) -> Cell:
        return Hooked(self.hidden, self.init, length=9)


def test_layers_equal_those_of_torch() -> None:
    cell = LSTMs(HIDDEN, "torch", layers=3)
    assert cell.states == ("h", "c", "h_1", "c_1", "h_2", "c_2")
    drawn = cell.weights(INPUTS, torch.Generator().manual_seed(0))
    weights = {name: weight.double().unsqueeze(0).requires_grad_() for name, weight in drawn.items()}
    theirs = torch.nn.LSTM(INPUTS, HIDDEN, num_layers=3).double()
    renamed = {f"{name[:-2]}_l{int(name[-1]) - 1}": weight for name, weight in drawn.items()}
    assert renamed.keys() == dict(theirs.named_parameters()).keys()
    theirs.load_state_dict({name: weight.double() for name, weight in renamed.items()})
    inputs = torch.randn(TIME, BATCH, INPUTS, generator=torch.Generator().manual_seed(1)).double()
    state, outputs = cell.start(weights, BATCH), []
    for input in inputs:
        state = cell.forward(weights, state, input.unsqueeze(0))
        outputs.append(state[0][0])
    expected, (h, c) = theirs(inputs)
    torch.testing.assert_close(torch.stack(outputs), expected, rtol=1e-12, atol=1e-12)
    for layer, (one, other) in enumerate(((2, 3), (4, 5), (0, 1))):
        torch.testing.assert_close(torch.stack([state[one][0], state[other][0]]), torch.stack([h[layer], c[layer]]))
    torch.stack(outputs).cos().sum().backward()
    expected.cos().sum().backward()
    for name, parameter in theirs.named_parameters():
        found = weights[f"{name[:-3]}_{int(name[-1]) + 1}"].grad
        assert found is not None
        torch.testing.assert_close(found[0], parameter.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", [LSTMs, Hookeds])
def test_layers_are_sound(kind: type[Stack], layers: int) -> None:
    require_sound(kind(HIDDEN, "torch", layers), INPUTS, 9)


def test_hooks_are_those_of_the_layers() -> None:
    cell = Hookeds(HIDDEN, "torch", layers=2)
    assert cell.states == ("h", "s", "h_1", "s_1")
    assert cell.widths == (HIDDEN, 2 * HIDDEN) * 2
    assert set(cell.groups) == {f"{name}_{layer}" for name in ("skew", "u", "gain") for layer in (1, 2)}
    random = torch.Generator().manual_seed(0)
    drawn = [cell.weights(INPUTS, random) for _ in range(REPLICAS)]
    weights = {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}
    ready, one = cell.materialise(weights), cell.layer(1)
    own = {name[:-2]: weight for name, weight in weights.items() if name.endswith("_1")}
    for name, weight in one.materialise(own).items():
        assert torch.equal(ready[f"{name}_1"], weight)
    starts = cell.start(ready, BATCH)
    assert [tuple(part.shape) for part in starts] == [(REPLICAS, BATCH, width) for width in cell.widths]
    assert torch.equal(starts[3][:, 0], weights["start_1"]) and torch.equal(starts[1][:, 0], weights["start_2"])
    allowed = cell.project({name: weight + 2 for name, weight in weights.items()})
    assert float(allowed["u_2"].max()) == pytest.approx(one.bound) and float(allowed["skew_2"].max()) > 2  # type: ignore[attr-defined]


def test_plain_layers_have_plain_hooks() -> None:
    cell = LSTMs(HIDDEN, "torch", layers=2)
    weights = {name: weight.unsqueeze(0) for name, weight in cell.weights(2, torch.Generator()).items()}
    assert cell.materialise(weights) is weights and cell.project(weights) is weights and cell.groups == {}
    assert cell.initial(weights) is None


@pytest.mark.parametrize("layers", [0, 65])
def test_a_number_of_layers_out_of_range_is_refused(layers: int) -> None:
    with pytest.raises(UserError, match=f"^cell.layers must be from 1 to 64; got {layers}$"):
        LSTMs(HIDDEN, "torch", layers)
