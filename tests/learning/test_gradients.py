"""The figures of the gradient through time against closed forms."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.kernels.unroll import unroll
from pipeline.learning import gradients
from tests.learning.linear import Linear

FACTORS = st.floats(0.01, 3).filter(lambda factor: abs(np.log(factor)) > 1e-3)


def geometric(factor: float, time: int, replicas: int = 2) -> np.ndarray:
    """log2 of norms that change by a factor with each step back from the end."""
    return np.tile((time - np.arange(1, time + 1)) * np.log2(factor), (replicas, 1)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 3.0])
def test_a_linear_cell_with_a_scaled_rotation_decays_by_its_scale(factor: float) -> None:
    """‖∂L/∂h_t‖ = c^(T-t) ‖∂L/∂h_T‖ exactly where h' = c Q h + W x."""
    random = torch.Generator().manual_seed(0)
    rotations = [torch.nn.init.orthogonal_(torch.empty(7, 7), generator=random) for _ in range(3)]
    weights = {"weight_hh": factor * torch.stack(rotations), "weight_ih": torch.randn(3, 7, 2, generator=random)}
    weights = {name: weight.double().requires_grad_() for name, weight in weights.items()}
    inputs, norms = torch.zeros(3, 400, 4, 2, dtype=torch.float64), {"h": torch.empty(3, 400, dtype=torch.float64)}
    outputs = unroll(Linear(7, "torch"), weights, inputs, 1, norms)
    (outputs * torch.randn(outputs.shape, generator=random)).sum().backward()
    found = gradients.summary(norms["h"].numpy(), 1)
    np.testing.assert_allclose(found["gradient/decay"], factor, rtol=1e-6)
    np.testing.assert_allclose(found["gradient/first_over_last"], 399 * np.log10(factor), rtol=1e-6, atol=1e-5)


@examples(max_examples=60, deadline=None)
@given(factor=FACTORS, time=st.integers(2, 300))
def test_a_geometric_series_has_the_figures_of_its_factor(factor: float, time: int) -> None:
    found = gradients.summary(geometric(factor, time), 1)
    np.testing.assert_allclose(found["gradient/decay"], factor, rtol=1e-4)
    np.testing.assert_allclose(found["gradient/first_over_last"], (time - 1) * np.log10(factor), rtol=1e-4)
    if factor < 1:
        np.testing.assert_allclose(found["gradient/reach"], -1 / np.log(factor), rtol=0.05)
    else:
        assert np.isnan(found["gradient/reach"]).all()


@pytest.mark.parametrize(("factor", "time"), [(0.5, 50), (0.9, 200), (0.99, 300), (1.0, 30), (1.3, 100)])
def test_vanished_counts_the_steps_below_a_ten_thousandth_of_the_largest(factor: float, time: int) -> None:
    norms = [factor ** (time - step) for step in range(1, time + 1)]
    below = sum(norm < 1e-4 * max(norms) for norm in norms)
    np.testing.assert_allclose(gradients.vanished(geometric(factor, time)), below / time, atol=1e-7)


@examples(max_examples=40, deadline=None)
@given(factor=FACTORS, time=st.integers(3, 60), answers=st.integers(1, 40), seed=st.integers(0, 99))
def test_decay_counts_no_step_at_which_a_new_error_enters(factor: float, time: int, answers: int, seed: int) -> None:
    answers = min(answers, time - 1)
    norms = geometric(factor, time)
    free = time - answers + 1
    norms[:, free:] = np.random.default_rng(seed).normal(size=(2, time - free))
    np.testing.assert_allclose(gradients.decay(norms, answers), factor, rtol=1e-3)


def test_decay_of_a_single_step_is_unknown() -> None:
    assert np.isnan(gradients.decay(geometric(0.5, 5), 5)).all()


def test_decay_is_the_least_squares_slope() -> None:
    norms = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    slopes = [np.polyfit(np.arange(40), row, 1)[0] for row in norms]
    np.testing.assert_allclose(gradients.decay(norms, 1), 2.0 ** -np.array(slopes), rtol=1e-5)


def test_reach_is_unknown_where_nothing_falls_and_long_where_little_does() -> None:
    found = gradients.reach(np.array([np.exp(-0.1), np.exp(-1e-3), 1.0, 1.2]))
    np.testing.assert_allclose(found[:2], [10, 1000], rtol=1e-9)
    assert np.isnan(found[2:]).all()


def test_norms_far_outside_the_range_of_floats_do_no_harm() -> None:
    found = gradients.summary(geometric(2.0**-40, 1000), 1)
    np.testing.assert_allclose(found["gradient/decay"], 2.0**-40, rtol=1e-9)
    np.testing.assert_allclose(found["gradient/first_over_last"], -40 * 999 * np.log10(2), rtol=1e-6)


def test_a_gradient_that_grows_by_more_than_any_number_is_infinite_and_no_warning() -> None:
    growing = -2000.0 * np.arange(3.0)[None]  # log2 norms: 2^2000 with each step back
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradients.decay(growing, 1) == np.inf
    assert np.isnan(gradients.reach(np.array([np.inf]))).all()
