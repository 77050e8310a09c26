"""Omega against closed forms, finite differences and autograd, and its gradient in an update against one by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells.cell import State
from pipeline.cells.rnn import RNN
from pipeline.kernels.unroll import unroll
from pipeline.kernels.workspace import Trace
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences
from pipeline.learning.fit import Problem, one_update
from pipeline.learning.model import Model
from pipeline.learning.objective import objective
from pipeline.learning.regularizer import add_gradient, omega, tanh_slope
from tests.conftest import compose
from tests.kernels.oracle import KERNELS, draw, make_cell, make_weights
from tests.learning.trials import small, train


def slowly(errors: Tensor, slopes: Tensor, recurrent: Tensor) -> Tensor:
    """Omega of one replica, term by term, to be differentiated."""
    terms = []
    for error, slope in zip(errors.flatten(0, 1), slopes.flatten(0, 1), strict=True):
        if error @ error >= 1e-20:
            reached = recurrent.mT @ (slope * error)
            terms.append((reached @ reached / (error @ error) - 1) ** 2)
    return torch.stack(terms).mean()


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0, 3),
    hidden=st.integers(1, 9),
    time=st.integers(1, 5),
    batch=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_an_orthogonal_matrix_and_the_identity_give_a_closed_form(
    scale: float, hidden: int, time: int, batch: int, seed: int
) -> None:
    """v = c Q' d, so every r is c^2, and dOmega/dU is 4 (c^2 - 1) c D Q with D the mean of d d' / |d|^2."""
    errors = draw(2, time, batch, hidden, seed=seed)
    rotations = torch.linalg.qr(draw(2, hidden, hidden, seed=seed + 1))[0]
    value, gradient = omega(errors, errors, torch.ones_like, scale * rotations)
    torch.testing.assert_close(
        value, torch.full((2,), (scale**2 - 1) ** 2, dtype=torch.float64), rtol=1e-11, atol=1e-11
    )
    units = (errors / errors.norm(dim=3, keepdim=True)).flatten(1, 2)
    directions = units.mT @ units / units.shape[1]
    expected = 4 * (scale**2 - 1) * scale * directions @ rotations
    torch.testing.assert_close(gradient, expected, rtol=1e-11, atol=1e-11)


def test_the_gradient_is_that_of_finite_differences() -> None:
    errors, recurrent = draw(2, 6, 3, 5), 0.4 * draw(2, 5, 5, seed=2)
    states = draw(2, 6, 3, 5, seed=3).tanh()
    _, gradient = omega(errors, states, tanh_slope, recurrent)
    for row in range(5):
        for column in range(5):
            step = torch.zeros(5, 5, dtype=torch.float64)
            step[row, column] = 1e-6
            up, down = (omega(errors, states, tanh_slope, recurrent + sign * step)[0] for sign in (1, -1))
            torch.testing.assert_close(gradient[:, row, column], (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_every_replica_has_its_own_mean_over_the_terms_that_count(dtype: torch.dtype, tolerance: float) -> None:
    """Errors from 1e-16 to 1e30, some exactly zero: those below 1e-10 are left out, of the mean also."""
    errors, recurrent = draw(3, 8, 4, 6), 0.5 * draw(3, 6, 6, seed=2)
    states = draw(3, 8, 4, 6, seed=3).tanh()
    errors *= 10 ** torch.linspace(-16, 30, 8, dtype=torch.float64).view(1, 8, 1, 1)
    errors[1, 2:5] = 0
    recurrent.requires_grad_()
    values, gradient = omega(errors.to(dtype), states.to(dtype), tanh_slope, recurrent.detach().to(dtype))
    for replica in range(3):
        expected = slowly(errors[replica], 1 - states[replica] ** 2, recurrent[replica])
        (derivative,) = torch.autograd.grad(expected, recurrent)
        assert float(values[replica]) == pytest.approx(float(expected.detach()), rel=tolerance)
        torch.testing.assert_close(gradient[replica].double(), derivative[replica], rtol=0, atol=10 * tolerance)


def test_errors_that_have_all_vanished_give_nothing() -> None:
    errors = 1e-12 * draw(1, 4, 2, 3)
    value, gradient = omega(errors, errors, torch.ones_like, draw(1, 3, 3))
    assert float(value) == 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("with_norms", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_leaves_the_states_and_errors_that_autograd_sees(
    kernel: str, with_norms: bool, dtype: torch.dtype
) -> None:
    """Over 90 steps that let the error fall below 1e-16, with answers at the last three; norms rescale it."""
    cell = make_cell("rnn", 7)
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 90, 5, 2), draw(3, 3, 5, 7, seed=2)
    state: State = (torch.zeros(3, 5, 7, dtype=torch.float64),)
    states = []
    for step in range(90):
        state = cell.forward(weights, state, inputs[:, step])
        state[0].retain_grad()
        states.append(state[0])
    (torch.stack(states[-3:], dim=1) * upstream).sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.stack([each.grad for each in states], dim=1)  # type: ignore[misc]
    assert expected[:, 0].abs().max() < 1e-16
    given = {name: weight.detach().to(dtype).requires_grad_() for name, weight in weights.items()}
    trace = Trace.of(given["bias_hh"], 3, 90, 5, 7)
    norms = {"h": torch.empty(3, 90, dtype=dtype)} if with_norms else None
    outputs = unroll(cell, given, inputs.to(dtype), 3, norms, trace, kernel=kernel)
    (outputs * upstream.to(dtype)).sum().backward()  # type: ignore[no-untyped-call]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(trace.states.double(), torch.stack(states, 1).detach(), rtol=0, atol=tolerance)
    largest = expected.abs().amax(dim=(2, 3), keepdim=True)
    assert ((trace.errors.double() - expected).abs() <= 50 * tolerance * largest + 1e-37).all()


@pytest.mark.parametrize("name", ["gru", "lstm"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_trace_changes_nothing_else(name: str, kernel: str) -> None:
    cell = make_cell(name, 5)
    weights = make_weights(cell, 2, 3)
    inputs, upstream = draw(2, 12, 4, 3), draw(2, 2, 4, 5, seed=2)
    found = []
    for trace in (None, Trace.of(inputs, 2, 12, 4, 5)):
        norms = {part: torch.empty(2, 12, dtype=torch.float64) for part in cell.states}
        outputs = unroll(cell, weights, inputs, 2, norms, trace, kernel=kernel)
        found.append([*torch.autograd.grad((outputs * upstream).sum(), list(weights.values())), *norms.values()])
        if trace is not None:
            torch.testing.assert_close(trace.states[:, -2:], outputs.detach())
            torch.testing.assert_close(trace.errors.flatten(2).norm(dim=2).log2(), norms["h"])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_trace_that_does_not_fit_is_refused() -> None:
    cell = make_cell("rnn", 5)
    with pytest.raises(ValueError, match=r"trace\.states is contiguous, torch\.float64 \[2, 12, 4, 5\]"):
        unroll(cell, make_weights(cell, 2, 3), draw(2, 12, 4, 3), 1, None, Trace.of(draw(1), 2, 12, 4, 6))


def by_hand(rows: Tensor, layout: models.Layout, inputs: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Omega of one tanh RNN and the gradients of loss + 2 Omega, by autograd with states and errors held constant."""
    named = {name: weight[0].detach().requires_grad_() for name, weight in layout.views(rows).items()}
    h, states = torch.zeros(inputs.shape[1], 8, dtype=torch.float64), []
    for step in inputs:
        h = torch.tanh(step @ named["weight_ih"].mT + named["bias_ih"] + h @ named["weight_hh"].mT + named["bias_hh"])
        states.append(h)
    outputs = h @ named["readout.weight"].mT + named["readout.bias"]
    loss = torch.nn.functional.cross_entropy(outputs, targets[0])
    errors = torch.stack(torch.autograd.grad(loss, states, retain_graph=True))
    slopes = 1 - torch.stack(states).detach() ** 2
    penalty = slowly(errors, slopes, named["weight_hh"])
    found = torch.autograd.grad(loss + 2 * penalty, list(named.values()))
    return penalty.detach(), dict(zip(named, found, strict=True))


@pytest.mark.parametrize("largest", [torch.inf, 0.1])
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_update_adds_the_gradient_and_clips_after_that(kernel: str, largest: float) -> None:
    cell, task = RNN(8, "basic_tanh"), compose("task=temporal_order").task
    rows, layout = models.begin(cell, 6, 4, 0, [3])
    rows = rows.double().requires_grad_()
    inputs = torch.nn.functional.one_hot(torch.randint(6, (1, 15, 5), generator=torch.Generator().manual_seed(1)), 6)
    inputs, targets = inputs.double(), torch.tensor([[[0, 1, 2, 3, 0]]])
    _, gradients = by_hand(rows, layout, inputs[0], targets[0])
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
    assert norm > 0.1
    before = rows.detach().clone()
    problem = Problem(lambda *_: None, lambda _: None, objective(task.kind), 1)  # type: ignore[arg-type, return-value]
    model, optimizer = Model(cell, layout, rows, kernel, 1), torch.optim.SGD([rows], lr=0.5)
    step = one_update(model, optimizer, problem, Sequences(inputs, targets), largest, 2.0)
    assert float(step.norms) == pytest.approx(float(norm), rel=1e-9)
    for name, moved in layout.views(before - rows.detach()).items():
        expected = 0.5 * gradients[name] * min(1.0, largest / float(norm))
        torch.testing.assert_close(moved[0], expected, rtol=1e-9, atol=1e-12)


def test_only_the_recurrent_weights_are_regularized() -> None:
    settings = small("temporal_order", "rnn")
    rows, layout = models.begin(settings.cell, 6, 4, 0, [0])
    model = Model(settings.cell, layout, rows.requires_grad_(), "torch", 1)
    rows.grad = torch.zeros_like(rows)
    add_gradient(model, Trace(0.1 * draw(1, 4, 2, 8).float(), draw(1, 4, 2, 8, seed=2).float()), 2.0)
    touched = {name for name, gradient in layout.views(rows.grad).items() if gradient.any()}
    assert touched == {"weight_hh"}


def test_the_weight_decides_the_way_of_a_training() -> None:
    recipe = ("temporal_order", "rnn", "cell.init=basic_tanh", "optimizer=sgd", "training.updates=5")
    plain, off, on = (
        train(small(*recipe, *more), [0]) for more in ([], ["training.regularizer=0"], ["training.regularizer=2"])
    )
    assert torch.equal(plain.weights, off.weights)
    assert not torch.equal(plain.weights, on.weights)


def test_another_cell_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^training\.regularizer serves the cell rnn alone, and must be 0 for GRU; got 2"
    ):
        compose("task=temporal_order", "cell=gru", "training.regularizer=2")


@pytest.mark.parametrize(
    ("weight", "rule"),
    [
        ("-1", "is the weight of Omega, at least 0"),
        ("inf", "must be a number, below"),
        ("nan", "must be a number"),
    ],
)
def test_a_weight_that_is_none_is_refused(weight: str, rule: str) -> None:
    with pytest.raises(UserError, match=rf"^training\.regularizer {rule}.*; got {weight}"):
        compose("task=temporal_order", "cell=rnn", f"training.regularizer={weight}")
