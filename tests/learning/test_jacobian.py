"""Errors and perturbations along a trajectory, against closed forms and autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from pipeline.kernels.unroll import unroll
from pipeline.learning import gradients, jacobian
from tests.cells.decay import error_decay
from tests.learning.linear import Linear


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(matrix: Tensor) -> tuple[Cell, dict[str, Tensor]]:
    """h' = U h + W x for two replicas that share U."""
    weights = {"weight_hh": matrix.expand(2, *matrix.shape), "weight_ih": torch.randn(2, len(matrix), 3).double()}
    return Linear(len(matrix), "torch"), weights


def exponents(cell: Cell, weights: dict[str, Tensor], steps: int, count: int, batch: int = 2) -> Tensor:
    inputs = torch.randn(2, steps, batch, 3, generator=random(1)).double()
    return jacobian.lyapunov(cell, weights, jacobian.trajectory(cell, weights, inputs), inputs, count)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("factor", [0.3, 0.9, 1.0, 1.2])
def test_the_exponents_of_a_scaled_rotation_are_the_logarithm_of_its_scale(factor: float, steps: int) -> None:
    rotation = torch.nn.init.orthogonal_(torch.empty(6, 6), generator=random()).double()
    found = exponents(*linear(factor * rotation), steps, 4)
    torch.testing.assert_close(found, torch.full((2, 4), np.log(factor)).double(), rtol=1e-5, atol=1e-6)


def test_the_exponents_of_a_leaky_integrator_are_its_leaks_largest_first() -> None:
    leaks = torch.tensor([0.3, 0.99, 0.5, -0.8]).double()
    found = exponents(*linear(torch.diag(leaks)), 400, 3)
    expected = torch.tensor([0.99, 0.8, 0.5]).double().log()
    torch.testing.assert_close(found, expected.expand(2, 3), rtol=0, atol=0.02)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 3.0])
def test_an_lstm_with_fixed_gates_forgets_at_the_rate_of_its_forget_gate(bias: float) -> None:
    cell = LSTM(5, "sigmoid", forget_bias=bias)
    weights = {
        name: torch.stack([w.double() * 0 if "weight" in name else w.double()] * 2)
        for name, w in cell.weights(3, random()).items()
    }
    forget = float(torch.sigmoid(torch.tensor(bias).double()))
    found = exponents(cell, weights, 60, 5)
    torch.testing.assert_close(found, torch.full((2, 5), np.log(forget)).double(), rtol=1e-6, atol=1e-9)
    norms = {part: torch.empty(2, 30, dtype=torch.float64) for part in cell.states}
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    inputs = torch.randn(2, 30, 4, 3, generator=random(2)).double()
    (unroll(cell, leaves, inputs, 1, norms) * torch.randn(5, generator=random(3))).sum().backward()
    figures = gradients.of_parts({part: norm.numpy() for part, norm in norms.items()}, 1)
    np.testing.assert_allclose(figures["gradient/decay_c"], forget, rtol=1e-9)


def jacobians(cell: Cell, weights: dict[str, Tensor], inputs: Tensor) -> list[Tensor]:
    """dS_t/ds_(t-1) of one replica and one sequence, by autograd."""
    one = {name: weight[0] for name, weight in weights.items()}
    found = []
    for t, state in enumerate(jacobian.trajectory(cell, weights, inputs)[:-1]):
        begin = torch.cat([part[0, 0] for part in state])

        def step(flat: Tensor, t: int = t) -> Tensor:
            parts = tuple(part.unsqueeze(0) for part in flat.split(cell.widths))
            return torch.cat([part[0] for part in cell.forward(one, parts, inputs[0, t])])

        found.append(torch.autograd.functional.jacobian(step, begin))
    return found


def drawn(cell: Cell, hidden: int, channels: int, seeds: int, gain: float = 1.0) -> tuple[Cell, dict[str, Tensor]]:
    """A cell of another size with float64 weights of several replicas."""
    cell = replace(cell, hidden=hidden)
    several = [cell.weights(channels, random(seed)) for seed in range(seeds)]
    stacked = {name: gain * torch.stack([one[name] for one in several]).double() for name in several[0]}
    return cell, dict(cell.materialise(stacked))


def test_all_exponents_together_are_the_volume_that_the_jacobians_leave(cell: Cell) -> None:
    cell, weights = drawn(cell, 3, 3, 1, gain=2.0)
    inputs = torch.randn(1, 11, 1, 3, generator=random(1)).double()
    size = sum(cell.widths)
    found = jacobian.lyapunov(cell, weights, jacobian.trajectory(cell, weights, inputs), inputs, size)
    counted = jacobians(cell, weights, inputs)[: 11 - 11 // 4]
    volume = sum(float(torch.linalg.slogdet(each)[1]) for each in counted)
    if volume == -np.inf:  # a part that is not read again
        assert float(found.min()) < np.log(1e-15) / jacobian.TOGETHER
    else:
        assert float(found.sum()) * len(counted) == pytest.approx(volume, rel=1e-8)


def test_a_chaotic_network_has_a_positive_exponent_and_a_quiet_one_a_negative() -> None:
    found = []
    for gain in (0.5, 4.0):
        cell, weights = drawn(RNN(20, "orthogonal", gain), 20, 3, 2)
        found.append(exponents(cell, weights, 120, 1))
    assert (found[0] < np.log(0.5) + 1e-6).all()  # tanh only shrinks
    assert (found[1] > 0.1).all()


def test_errors_on_their_way_back_are_those_of_autograd(cell: Cell) -> None:
    cell, weights = drawn(cell, 4, 3, 2)
    inputs = torch.randn(2, 9, 5, 3, generator=random(1)).double()
    upstream = torch.randn(2, 3, 5, cell.widths[0], generator=random(2)).double()
    state = tuple(part.requires_grad_() for part in cell.start(weights, 5))
    after = []
    for step in range(9):
        state = tuple(part.clone() for part in cell.forward(weights, state, inputs[:, step]))  # parts apart
        for part in state:
            part.retain_grad()
        after.append(state)
    sum((after[6 + k][0] * upstream[:, k]).sum() for k in range(3)).backward()  # type: ignore[union-attr]
    states = jacobian.trajectory(cell, weights, inputs)
    for rescaled in (0, 4):
        for step, parts, scale in jacobian.backward(cell, weights, states, inputs, upstream, rescaled):
            for part, truth in zip(parts, after[step - 1], strict=True):
                expected = torch.zeros_like(truth) if truth.grad is None else truth.grad
                torch.testing.assert_close(part * scale.exp().view(-1, 1, 1), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("factor", [0.01, 0.8, 1.1])
def test_an_error_in_a_linear_cell_decays_by_the_scale_of_its_rotation(factor: float) -> None:
    rotation = torch.nn.init.orthogonal_(torch.empty(6, 6), generator=random()).double()
    cell, weights = linear(factor * rotation)
    error = torch.randn(2, 4, 6, generator=random(1)).double()
    found = error_decay(cell, weights, torch.zeros(2, 300, 4, 3).double(), error)  # down to 2^-2000
    torch.testing.assert_close(found, torch.full((2,), factor).double(), rtol=1e-6, atol=0)
