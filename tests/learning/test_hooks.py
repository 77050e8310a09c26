"""What a cell may ask for besides weights and a step: see `Cell`."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.cells.check import require_sound
from pipeline.learning import groups, jacobian
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.inspection import Inspector
from pipeline.learning.model import Layout, Model
from pipeline.learning.objective import objective
from pipeline.learning.recipes import PerReplica, Recipe
from tests.cells.hooked import Hooked

CELL = Hooked(4, "torch").for_length(20)
REPLICAS, TIME, BATCH, CHANNELS = 3, 9, 5, 2
ADAMW = partial(torch.optim.AdamW, lr=0.05, weight_decay=0.3)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def begun() -> tuple[Tensor, Layout]:
    rows, layout = models.begin(CELL, CHANNELS, 2, 0, range(REPLICAS))
    return rows.double(), layout


def unrolled(weights: Mapping[str, Tensor], inputs: Tensor) -> list[State]:
    """All states, with a graph, one step after the other."""
    ready = CELL.materialise({name: w for name, w in weights.items() if name not in models.READOUT})
    states = [CELL.start(ready, inputs.shape[2])]
    for step in range(inputs.shape[1]):
        states.append(CELL.forward(ready, states[-1], inputs[:, step]))
        for part in states[-1]:
            part.retain_grad()
    return states


def test_a_cell_with_every_hook_is_sound() -> None:
    require_sound(Hooked(4, "torch"), CHANNELS, 20)


def test_the_gradient_is_that_of_the_unrolled_steps() -> None:
    """Through materialised weights, parts of different widths, and a start that is trained."""
    rows, layout = begun()
    inputs, targets = drawn(1, REPLICAS, TIME, BATCH, CHANNELS), drawn(2, REPLICAS, 2, BATCH, 2)
    model = Model(CELL, layout, rows.clone().requires_grad_(), "auto", 1)
    norms = {name: torch.empty(REPLICAS, TIME, dtype=torch.float64) for name in CELL.states}
    losses = model.gradient(inputs, targets, 2, objective("regression"), norms)

    leaf = rows.clone().requires_grad_()
    weights = layout.views(leaf)
    states = unrolled(weights, inputs)
    read, bias = (weights[name] for name in models.READOUT)
    outputs = torch.stack([state[0] @ read.mT + bias.unsqueeze(1) for state in states[-2:]], dim=1)
    expected = (outputs - targets).square().mean(dim=(1, 2, 3))
    expected.sum().backward()
    assert leaf.grad is not None
    views = layout.views(leaf.grad)
    assert views["gain"].abs().max() > 0
    views["gain"].zero_()  # a weight that is not trained counts in no norm
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(model.rows.grad, leaf.grad, rtol=1e-10, atol=1e-13)
    assert layout.views(leaf.grad)["start"].abs().min() > 0
    for part, name in enumerate(CELL.states):
        for step, state in enumerate(states[1:]):
            arriving = state[part].grad
            assert arriving is not None
            torch.testing.assert_close(norms[name][:, step], arriving.norm(dim=(1, 2)).log2(), rtol=0, atol=1e-9)


class AutogradPasses:
    """Passes as the fused ones are: no graph outside, gradients into memory that is lent."""

    def __init__(self, cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, answers: int, *ignored: object):
        assert not any(weight.requires_grad for weight in weights.values())
        self.weights = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
        state, kept = cell.start(self.weights, inputs.shape[2]), []
        with torch.enable_grad():
            for step in range(inputs.shape[1]):
                state = cell.forward(self.weights, state, inputs[:, step])
                kept.append(state[0])
        self.out = torch.stack(kept[-answers:], dim=1)

    def forward(self, keep: bool) -> Tensor:
        return self.out.detach()

    def backward(self, upstream: Tensor, gradient: Mapping[str, Tensor], norms: object, trace: object) -> None:
        self.out.backward(upstream)
        for name, weight in self.weights.items():
            gradient[name].copy_(torch.zeros_like(weight) if weight.grad is None else weight.grad)


def test_a_pass_without_a_graph_leads_to_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, layout = begun()
    inputs, targets = drawn(1, REPLICAS, TIME, BATCH, CHANNELS), drawn(2, REPLICAS, 2, BATCH, 2)
    norms = {name: torch.empty(REPLICAS, TIME, dtype=torch.float64) for name in CELL.states}
    found = []
    for fake in (False, True):
        if fake:
            monkeypatch.setattr(models, "passes", AutogradPasses)
        model = Model(CELL, layout, rows.clone().requires_grad_(), "auto", 1)
        model.gradient(inputs, targets, 2, objective("regression"), norms)
        assert model.rows.grad is not None
        found.append({name: part.clone() for name, part in layout.views(model.rows.grad).items()})
    found[1]["start"] = found[0]["start"]  # a pass without a graph serves no trained start
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-13)


def problem() -> Problem:
    def draw(running: np.ndarray, update: int) -> Sequences:
        inputs = drawn(update, len(running), TIME, BATCH, CHANNELS).float()
        return Sequences(inputs, inputs[:, -1:].sum(dim=3, keepdim=True).expand(-1, -1, -1, 2))

    return Problem(draw, lambda count: draw(np.arange(count), 0), objective("regression"), 1)


def test_an_update_keeps_weights_where_they_may_be_and_leaves_fixed_ones() -> None:
    rows, layout = begun()
    model = Model(CELL, layout, rows.float().requires_grad_(), "auto", 1)
    optimizer = groups.grouped(partial(torch.optim.Adam, lr=0.2), layout.shapes, [CELL])([model.rows])
    before, clamped = {n: w.clone() for n, w in layout.views(model.rows.detach()).items()}, False
    for update in range(30):
        step = one_update(model, optimizer, problem(), problem().draw(np.arange(REPLICAS), update), 1.0)
        assert step.finite().all()
        u = layout.views(model.rows.detach())["u"]
        assert float(u.abs().max()) <= CELL.bound * (1 + 1e-6)
        clamped |= bool((u.abs() > CELL.bound * (1 - 1e-6)).any())
    after = layout.views(model.rows.detach())
    assert clamped
    assert torch.equal(after["gain"], before["gain"])
    assert all(not torch.equal(after[name], before[name]) for name in after if name != "gain")


def gradients(update: int, rows: int, width: int) -> Tensor:
    return drawn(100 + update, rows, width).float()


@pytest.mark.parametrize("make", [ADAMW, partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.1)])
def test_groups_are_those_of_torch(make: partial[torch.optim.Optimizer]) -> None:
    """Each weight as a parameter of its own, with a learning rate and a decay of its own; also when replicas leave."""
    rows, layout = begun()
    rows = rows.float()
    trained = rows.clone().requires_grad_()
    optimizer = groups.grouped(make, layout.shapes, [CELL])([trained])
    assert isinstance(optimizer, groups.Grouped)
    named = {name: weight.clone().requires_grad_() for name, weight in layout.views(rows).items()}
    rate, decay = make.keywords["lr"], make.keywords["weight_decay"]
    own = {"skew": {"lr": 0.1 * rate}, "u": {"weight_decay": 0.0}, "gain": {"lr": 0.0}}
    theirs = make([{"params": [weight], **own.get(name, {})} for name, weight in named.items()])
    assert decay > 0
    kept = torch.arange(REPLICAS)
    for update in range(8):
        gradient = gradients(update, REPLICAS, rows.shape[1])
        trained.grad = gradient[kept].clone()
        optimizer.step()
        for name, part in layout.views(gradient).items():
            named[name].grad = part
        theirs.step()
        if update == 3:
            optimizer, trained = optimizer.narrowed(torch.tensor([0, 2]))
            kept = kept[[0, 2]]
    for name, weight in layout.views(trained.detach()).items():
        torch.testing.assert_close(weight, named[name].detach()[kept], rtol=1e-6, atol=1e-7)


def test_recipes_take_the_multiples_of_the_rate() -> None:
    rows, layout = begun()
    rows, adam = rows.float(), partial(torch.optim.Adam)
    recipes = [Recipe("adam", partial(adam, lr=1.0), 0.03, torch.inf)] * REPLICAS
    trained, plain = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    raced = groups.grouped(lambda each: PerReplica(each[0], recipes), layout.shapes, [CELL] * REPLICAS)([trained])
    alone = groups.grouped(partial(adam, lr=0.03), layout.shapes, [CELL])([plain])
    assert isinstance(raced, PerReplica) and isinstance(alone, groups.Grouped)
    for update in range(6):
        gradient = gradients(update, REPLICAS, rows.shape[1])[: len(trained)]
        trained.grad, plain.grad = gradient.clone(), gradient.clone()
        raced.step()
        alone.step()
        if update == 2:
            (raced, trained), (alone, plain) = (each.narrowed(torch.tensor([0, 2])) for each in (raced, alone))
    torch.testing.assert_close(trained.detach(), plain.detach(), rtol=1e-5, atol=1e-6)


def test_a_cell_without_groups_keeps_its_optimizer() -> None:
    make = partial(torch.optim.Adam, lr=0.1)
    from pipeline.cells.rnn import RNN

    assert groups.grouped(make, {"a": (2,)}, [RNN(3, "torch")]) is make


def test_figures_are_of_materialised_weights_and_all_parts() -> None:
    rows, layout = begun()
    inputs = drawn(1, REPLICAS, TIME, BATCH, CHANNELS)
    ready = CELL.materialise({n: w for n, w in layout.views(rows).items() if n not in models.READOUT})
    states = jacobian.trajectory(CELL, ready, inputs)
    torch.testing.assert_close(states[0][1], layout.views(rows)["start"].unsqueeze(1).expand(-1, BATCH, -1))
    model = Model(CELL, layout, rows * 1.01, "auto", 1)
    inspector = Inspector(1, 1, CHANNELS, objective("regression"), lambda *seen: None)
    found = inspector.figures(rows, model, Sequences(inputs, drawn(2, REPLICAS, 1, BATCH, 2)))
    assert np.isfinite(found["gradient/signal_to_noise"]).all()
    exponents = jacobian.lyapunov(CELL, ready, states, inputs, sum(CELL.widths))
    assert torch.isfinite(exponents[:, :4]).all() and (exponents.diff(dim=1) < 0.5).all()
    largest = torch.linalg.eigvals(ready["weight_hh"].split(4, dim=1)[0]).abs().amax(dim=1)
    assert (found["weight/spectral_radius"] >= largest.numpy() - 1e-12).all()
