"""Cells from elsewhere: torch.nn's against ours, and modules of every form."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchrecurrent
from torch import Tensor, nn

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.cells.check import require_sound
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.module import Module
from pipeline.cells.rnn import RNN
from pipeline.learning import model as models
from pipeline.learning.model import Model
from pipeline.learning.objective import objective
from pipeline.settings import trust
from tests.conftest import compose

HIDDEN, INPUTS, TIME, BATCH, REPLICAS = 6, 3, 15, 4, 3
PAIRS = {
    "rnn": (RNN(HIDDEN, "torch"), Module(HIDDEN, "published", nn.RNNCell)),
    "gru": (GRU(HIDDEN, "torch", update_bias=0.0), Module(HIDDEN, "published", nn.GRUCell)),
    "lstm": (LSTM(HIDDEN, "torch", forget_bias=0.0), Module(HIDDEN, "published", nn.LSTMCell, parts=2)),
}


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))
def test_a_module_of_torch_goes_the_way_of_the_cell_that_is_built_in(pair: tuple[Cell, Cell]) -> None:
    """Answers, losses, gradients and norms through time, for the same weights, in float64."""
    rows, layout = models.begin(pair[1], INPUTS, 2, 0, range(REPLICAS))
    inputs = torch.randn(REPLICAS, TIME, BATCH, INPUTS, generator=random(1)).double()
    targets = torch.randn(REPLICAS, 1, BATCH, 2, generator=random(2)).double()
    found = []
    for cell in pair:
        assert cell.states == pair[0].states
        model = Model(cell, layout, rows.double().requires_grad_(), "stepwise", 1)
        norms = {name: torch.empty(REPLICAS, TIME, dtype=torch.float64) for name in cell.states}
        losses = model.gradient(inputs, targets, 1, objective("regression"), norms)
        found.append((model(inputs, TIME).detach(), losses, model.rows.grad, norms))
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(nn.RNNCell, {}), (nn.RNNCell, {"nonlinearity": "relu"}), (nn.GRUCell, {}), (nn.LSTMCell, {})],
)
def test_each_replica_takes_the_steps_of_its_own_module(
    kind: type[nn.Module], arguments: dict[str, str], bias: bool
) -> None:
    cell = Module(HIDDEN, "published", kind, 2 if kind is nn.LSTMCell else 1, arguments={**arguments, "bias": bias})
    drawn = [cell.weights(INPUTS, random(seed)) for seed in range(REPLICAS)]
    weights = {name: torch.stack([each[name] for each in drawn]).double() for name in drawn[0]}
    state = cell.start(weights, BATCH)
    modules = [kind(INPUTS, HIDDEN, bias=bias, **arguments).double() for _ in range(REPLICAS)]  # type: ignore[arg-type]
    theirs = [tuple(part[replica] for part in state) for replica in range(REPLICAS)]
    for module, own in zip(modules, drawn, strict=True):
        module.load_state_dict(own)
    for step in range(TIME):
        input = torch.randn(REPLICAS, BATCH, INPUTS, generator=random(step)).double()
        state = cell.forward(weights, state, input)
        for replica, module in enumerate(modules):
            after = module(input[replica], theirs[replica] if cell.parts == 2 else theirs[replica][0])
            theirs[replica] = after if isinstance(after, tuple) else (after,)
            for ours, part in zip(state, theirs[replica], strict=True):
                torch.testing.assert_close(ours[replica], part.detach(), rtol=1e-13, atol=1e-13)


def test_weights_are_those_of_the_constructor_and_its_random_numbers_are_the_replicas() -> None:
    cell, before = Module(HIDDEN, "published", nn.LSTMCell, parts=2), torch.get_rng_state()
    drawn = [cell.weights(INPUTS, random(seed)) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    assert {name: weight.shape for name, weight in drawn[0].items()} == {
        name: weight.shape for name, weight in nn.LSTMCell(INPUTS, HIDDEN).named_parameters()
    }
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not any(torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0])
    assert 0.9 / HIDDEN**0.5 < max(float(weight.abs().max()) for weight in drawn[0].values()) <= 1 / HIDDEN**0.5


class WithOutput(nn.Module):
    """With an output that is not its state, a scalar parameter, a frozen one, and a buffer."""

    def __init__(self, inputs: int, hidden: int, scale: float = 1.0) -> None:
        super().__init__()
        self.read, self.write = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.rate = nn.Parameter(torch.tensor(scale))
        self.shift = nn.Parameter(torch.randn(hidden), requires_grad=False)
        self.register_buffer("mask", (torch.rand(hidden) < 0.9).float())

    def forward(self, input: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.tanh(self.rate * state * self.mask + self.read(input) + self.shift)
        return self.write(state), state


class ThreeParts(nn.Module):
    """With a list of three parts, of which one is its output."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(inputs, hidden)

    def forward(self, input: Tensor, state: tuple[Tensor, ...]) -> list[Tensor]:
        a, b, c = state
        return [torch.tanh(self.read(input) + 0.5 * c), 0.5 * b + 0.1 * a, 0.9 * c + 0.1 * b]


class Noisy(nn.Module):
    def __init__(self, inputs: int, hidden: int, kind: str = "linear") -> None:
        super().__init__()
        self.cell = nn.GRUCell(inputs, hidden) if kind == "gru" else nn.Linear(inputs, hidden)
        self.dropout = nn.Dropout(0.2)

    def forward(self, input: Tensor, state: Tensor) -> Tensor:
        after = self.cell(input, state) if isinstance(self.cell, nn.GRUCell) else 0.5 * state + self.cell(input)
        return self.dropout(after)  # type: ignore[no-any-return]


def test_an_output_beside_the_state_is_what_the_readout_sees() -> None:
    cell = Module(HIDDEN, "published", WithOutput, output=True, arguments={"scale": 0.5})
    require_sound(cell, INPUTS, 9)
    assert cell.states == ("h", "state_1") and set(cell.groups) == {"shift"} and cell.groups["shift"].rate == 0
    weights = {name: weight.unsqueeze(0) for name, weight in cell.weights(INPUTS, random(0)).items()}
    assert weights["rate"].tolist() == [[0.5]]
    start, input = cell.start(weights, BATCH), torch.randn(1, BATCH, INPUTS, generator=random(1))
    output, state = cell.forward(weights, start, input)
    other, same = cell.forward(weights, (start[0] + 7, start[1]), input)
    assert torch.equal(output, other) and torch.equal(state, same)  # h is not read again
    expected = torch.nn.functional.linear(state[0], weights["write.weight"][0], weights["write.bias"][0])
    torch.testing.assert_close(output[0], expected)


def test_a_state_may_have_any_number_of_parts() -> None:
    require_sound(Module(HIDDEN, "published", ThreeParts, parts=3), INPUTS, 9)
    assert Module(HIDDEN, "published", ThreeParts, parts=3).states == ("h", "state_2", "state_3")


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Module(HIDDEN, "published", nn.LSTMCell), "cell Module: forward fails with .*Error: .*"),
        (
            Module(HIDDEN, "published", nn.GRUCell, output=True),
            "cell.module GRUCell must return an output and a state of 1 part, .*; got one tensor",
        ),
        (
            Module(HIDDEN, "published", WithOutput),
            "cell.module WithOutput must return a state of 1 part, as cell.parts and cell.output say; got tuple of 2",
        ),
        (Module(HIDDEN, "published", Noisy), "cell Module: forward must leave torch's global random numbers alone .*"),
        (
            Module(HIDDEN, "published", Noisy, arguments={"kind": "gru"}),
            "cell Module: forward must leave torch's global random numbers alone .*",
        ),
        (
            Module(HIDDEN, "published", nn.GRUCell, arguments={"size": 3}),
            "cell Module: .* fails with TypeError: .*size",
        ),
        (Module(HIDDEN, "published", nn.Linear), "cell Module: forward fails with TypeError: .*"),
    ],
    ids=lambda value: getattr(value, "module", type).__name__,
)
def test_a_module_that_does_not_fit_is_one_sentence(cell: Cell, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        require_sound(cell, INPUTS, 9)
    assert "\n" not in str(refused.value)


def test_a_module_is_chosen_by_its_name() -> None:
    cell = compose("cell=module").cell
    assert (cell.module, cell.parts) == (nn.LSTMCell, 2)
    cell = compose("cell=module", "cell.module=torch.nn.GRUCell", "cell.parts=1", "+cell.arguments.bias=false").cell
    require_sound(cell, INPUTS, 9)
    assert (cell.module, cell.arguments) == (nn.GRUCell, {"bias": False})


@pytest.mark.parametrize(
    "name",
    ["os.system", "torch.load", "torchrecurrent.LEMCell", "torch.nn.functional.linear", "torch.nn.None", "3", "null"],
)
def test_only_modules_of_torch_and_of_packages_that_are_trusted_are_imported(name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(UserError, match=r"^cell\.module (must b|can't be found)"):
        compose("cell=module", f"cell.module={name}")
    assert not {each for each in set(sys.modules) - before if each.partition(".")[0] not in ("torch", "pipeline")}


def test_a_package_that_is_trusted_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trust.yaml").write_text("packages: [torchrecurrent]\n")
    monkeypatch.setattr(trust, "CONF", tmp_path)
    assert trust.trusted_class("torchrecurrent.JANETCell", "cell.module", nn.Module).__name__ == "JANETCell"
    with pytest.raises(UserError, match=r"must be a kind of Module that is defined in torch\.nn\. or torchrecurrent\."):
        trust.trusted_class("torchrecurrent.base.torch.Tensor", "cell.module", nn.Module)


def test_a_cell_of_another_package_is_sound_and_takes_its_own_steps() -> None:
    """JANET of torchrecurrent has a scalar parameter, and returns its state twice."""
    cell = Module(HIDDEN, "published", torchrecurrent.JANETCell, parts=2)
    require_sound(cell, INPUTS, 9)
    drawn = cell.weights(INPUTS, random(0))
    assert tuple(drawn["beta"].shape) == (1,)
    theirs = torchrecurrent.JANETCell(INPUTS, HIDDEN)
    theirs.load_state_dict({**drawn, "beta": drawn["beta"][0]})
    input = torch.randn(1, BATCH, INPUTS, generator=random(1))
    weights = {name: weight.unsqueeze(0) for name, weight in drawn.items()}
    for ours, part in zip(cell.forward(weights, cell.start(weights, BATCH), input), theirs(input[0]), strict=True):
        torch.testing.assert_close(ours[0], part.detach())


def test_settings_out_of_range_are_refused() -> None:
    cell = Module(HIDDEN, "published", nn.GRUCell)
    for name, value in (("parts", 0), ("init", "torch"), ("hidden", 0)):
        with pytest.raises(UserError, match=f"^cell.{name} must be .*; got {value!r}$"):
            replace(cell, **{name: value})  # type: ignore[arg-type]
