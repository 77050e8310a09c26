"""The costly figures: each against its definition, and when they are taken."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from pipeline.learning import inspection, jacobian
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences
from pipeline.learning.inspection import Inspector
from pipeline.learning.objective import objective
from tests.learning.linear import Linear
from tests.learning.trials import small, train

FIGURES = {
    "gradient/signal_to_noise",
    "jacobian/lyapunov",
    "jacobian/lyapunov_2",
    "jacobian/lyapunov_3",
    "unit/saturated",
    "weight/spectral_radius",
    "weight/update_ratio",
}


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(cell: Cell, channels: int, replicas: int) -> dict[str, Tensor]:
    several = [cell.weights(channels, random(seed)) for seed in range(replicas)]
    return dict(cell.materialise({name: torch.stack([one[name] for one in several]).double() for name in several[0]}))


def slowly(cell: Cell, weights: dict[str, Tensor], inputs: Tensor, upstream: Tensor) -> float:
    """The ratio of one replica: a gradient for each sequence alone, by weights that only its early steps read."""
    steps, batch, answers = len(inputs), inputs.shape[1], len(upstream)
    parts = []
    for b in range(batch):
        early = {name: weights[name].clone().requires_grad_() for name in cell.recurrent}
        state = tuple(torch.zeros(1, width).double() for width in cell.widths)
        loss = torch.zeros(()).double()
        for t in range(steps):
            read = weights | (early if t < max(steps // 4, 2) else {})
            state = cell.forward(read, state, inputs[t, b : b + 1])
            if t >= steps - answers:
                loss = loss + (state[0][0] * upstream[t - steps + answers, b]).sum()
        found = torch.autograd.grad(loss, list(early.values()))
        parts.append(torch.cat([gradient.flatten() for gradient in found]).numpy())
    rows = np.array(parts)
    return float((rows.mean(axis=0) ** 2).sum() / (np.trace(np.atleast_2d(np.cov(rows.T))) / batch))


@pytest.mark.parametrize(("steps", "answers"), [(9, 1), (3, 3), (12, 2)])
def test_signal_to_noise_is_that_of_gradients_taken_one_by_one(
    cell: Cell, steps: int, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "CHUNK", 2)  # sequences in several parts
    cell = replace(cell, hidden=3)
    weights = drawn(cell, 2, 2)
    inputs = torch.randn(2, steps, 5, 2, generator=random(1)).double()
    upstream = torch.randn(2, answers, 5, cell.widths[0], generator=random(2)).double()
    states = jacobian.trajectory(cell, weights, inputs)
    found = inspection.signal_to_noise(cell, weights, states, inputs, upstream)
    if not cell.recurrent:
        assert found.isnan().all()
        return
    expected = [slowly(cell, {n: w[r] for n, w in weights.items()}, inputs[r], upstream[r]) for r in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_signal_to_noise_is_known_where_the_gradient_is_next_to_nothing() -> None:
    """2^-700 on its way to the early steps: the same ratio as on the way through a rotation that shrinks nothing."""
    cell, rotation = Linear(4, "torch"), torch.nn.init.orthogonal_(torch.empty(4, 4), generator=random()).double()
    inputs = torch.randn(1, 200, 6, 2, generator=random(1)).double()
    inputs[:, 1:] = 0  # so that the state turns, and what it is multiplied by is all that differs
    upstream = torch.randn(1, 1, 6, 4, generator=random(2)).double()
    found = []
    for factor in (1.0, 2.0**-5):
        weights = {"weight_hh": factor * rotation.unsqueeze(0), "weight_ih": torch.eye(4, 2).double().unsqueeze(0)}
        states = [(state[0].clone(),) for state in jacobian.trajectory(cell, weights, inputs)]
        states = [
            (state / max(float(state.norm()), 1e-300),) for (state,) in states
        ]  # a linear cell's J knows no state
        errors = inspection.signal_to_noise(cell, weights, states, inputs, upstream)
        tiny = inspection.signal_to_noise(cell, weights, states, inputs, 1e-250 * upstream)
        torch.testing.assert_close(errors, tiny, rtol=1e-9, atol=0)
        found.append(float(errors))
    assert all(np.isfinite(found)) and found[1] > 0


def test_noise_alone_has_a_ratio_of_about_one() -> None:
    cell = RNN(4, "orthogonal")
    weights = drawn(cell, 2, 60)
    inputs = torch.randn(60, 8, 20, 2, generator=random(1)).double()
    states = jacobian.trajectory(cell, weights, inputs)
    noise = torch.randn(60, 1, 20, 4, generator=random(2)).double()
    assert float(inspection.signal_to_noise(cell, weights, states, inputs, noise).mean()) == pytest.approx(1, abs=0.25)


def test_a_single_sequence_tells_no_noise() -> None:
    cell = RNN(4, "orthogonal")
    weights, inputs = drawn(cell, 2, 2), torch.randn(2, 8, 1, 2).double()
    states = jacobian.trajectory(cell, weights, inputs)
    assert inspection.signal_to_noise(cell, weights, states, inputs, torch.ones(2, 1, 1, 4).double()).isnan().all()


def test_the_spectral_radius_is_that_of_the_largest_block() -> None:
    turn = torch.tensor([[0.0, -0.7], [0.7, 0.0]]).double()  # eigenvalues .7 i and -.7 i
    blocks = torch.stack([torch.cat([turn, torch.diag(torch.tensor([0.2, -s]).double())]) for s in (0.9, 0.3)])
    found = inspection.spectral_radius(RNN(2, "torch"), {"weight_hh": blocks})
    torch.testing.assert_close(found, torch.tensor([0.9, 0.7]).double())


def test_a_cell_without_recurrent_weights_has_no_radius() -> None:
    assert inspection.spectral_radius(RNN(2, "torch"), {"leak": torch.ones(3, 2)}).isnan().all()


def test_saturated_counts_units_whose_tanh_is_flat() -> None:
    h, c = torch.zeros(2, 4, 5), torch.zeros(2, 4, 5)
    h[0, 1, :3], c[0, 1, 2:], c[1, 0, 0], c[1, 0, 1] = -0.98, 2.2, -2.2, 2.0  # tanh 2.0 = .964
    begin = (torch.ones(2, 4, 5), torch.full((2, 4, 5), 9.0))  # the state before the first step does not count
    found = inspection.saturated([begin, (h, c), (h * 0, c * 0)])
    torch.testing.assert_close(found, torch.tensor([5 / 40, 1 / 40]).double())


def test_the_update_ratio_is_the_length_of_a_step_by_that_of_the_weights() -> None:
    before = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    found = inspection.update_ratio(before, before + torch.tensor([[0.0, 0.5], [0.02, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([0.1, 0.01]).double(), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("every", "expected"), [("null", [1, 12]), ("5", [1, 5, 10, 12]), ("12", [1, 12])])
def test_inspections_are_at_the_first_and_last_update_and_at_their_interval(every: str, expected: list[int]) -> None:
    curves: dict[int, dict[str, float]] = {}
    result = train(small("copy", "lstm", f"training.inspect_every={every}"), [0, 1], curves)
    assert [update for update, curve in curves.items() if "weight/update_ratio" in curve] == expected
    assert all(curves[update].keys() >= FIGURES for update in expected)
    assert all(figures.keys() >= FIGURES for figures in result.recorder.latest.values())


@pytest.mark.parametrize(("task", "name"), [("adding", "rnn"), ("copy", "gru"), ("temporal_order", "lstm")])
def test_inspections_change_nothing_of_the_training(task: str, name: str) -> None:
    one, other = (train(small(task, name, f"training.inspect_every={every}"), [0, 1]) for every in ("null", "1"))
    assert torch.equal(one.weights, other.weights)
    assert one.outcomes == other.outcomes


def test_the_error_at_the_answers_is_that_of_the_loss() -> None:
    """The inspected error, carried back, has the norms that the training's own backward pass notes."""
    settings = small("copy", "lstm", "training.updates=1")
    result = train(settings, [0, 1])
    cell, task = settings.cell, settings.task
    rows, layout = models.begin(cell, task.channels, task.outputs, settings.training.seed, [0, 1])
    weights = {name: view.double() for name, view in layout.views(rows).items()}
    drawn = inspection_sequences(settings)
    inputs = inspection.as_floats(drawn.inputs, task.channels)
    own = {name: weight for name, weight in weights.items() if name not in models.READOUT}
    states = jacobian.trajectory(cell, own, inputs)
    upstream = inspection.error(objective(task.kind), weights, states, drawn.targets)
    noted = result.recorder.through_time[0].log2_norms["h"]
    for step, parts, scale in jacobian.backward(cell, own, states, inputs, upstream):
        norms = parts[0].flatten(1).norm(dim=1).log2() + scale / np.log(2)
        np.testing.assert_allclose(norms, noted[:, step - 1], rtol=0, atol=1e-3)


def inspection_sequences(settings: object) -> Sequences:
    from pipeline.learning.batches import training_sequences

    training = settings.training  # type: ignore[attr-defined]
    return training_sequences(settings.task, training.seed, [0, 1], 1, training.length, training.batch, "cpu")  # type: ignore[attr-defined]


def test_a_replica_with_broken_weights_has_no_figures_and_harms_no_other() -> None:
    settings = small("adding", "lstm")
    cell, task = LSTM(8, "torch", 0.0), settings.task
    rows, layout = models.begin(cell, task.channels, task.outputs, 0, [0, 1])
    inspector = Inspector(None, 9, task.channels, objective(task.kind), lambda *_: None)
    sequences = inspection_sequences(settings)
    sound = inspector.figures(rows, models.Model(cell, layout, rows * 1.01, "torch", 1), sequences)
    broken = rows.clone()
    broken[0, 3] = torch.nan
    found = inspector.figures(broken, models.Model(cell, layout, rows * 1.01, "torch", 1), sequences)
    assert found.keys() == sound.keys() == FIGURES
    for name, values in found.items():
        assert np.isnan(values[0])
        assert values[1] == pytest.approx(sound[name][1], rel=1e-9)
    assert sound["weight/update_ratio"][1] == pytest.approx(0.01, rel=1e-4)
