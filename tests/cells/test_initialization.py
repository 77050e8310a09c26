"""How weights begin: each kind against its definition."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy.stats import ks_2samp, kstest, norm
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells import initialization
from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from tests.conftest import compose

HIDDEN, INPUTS = 50, 30


@pytest.fixture(params=["rnn", "gru", "lstm"])
def cell(request: pytest.FixtureRequest) -> Cell:
    """Those whose weights all begin by one of the kinds."""
    return compose(f"cell={request.param}").cell


GAUSSIAN = {"sigmoid": 0.01, "basic_tanh": 0.1, "smart_tanh": 0.01}


def drawn(cell: Cell, init: str, seed: int = 0) -> dict[str, Tensor]:
    return replace(cell, init=init, hidden=HIDDEN).weights(INPUTS, torch.Generator().manual_seed(seed))


def blocks(weight: Tensor) -> list[Tensor]:
    """The recurrent matrix of each gate."""
    return list(weight.split(HIDDEN))


def biases(cell: Cell, init: str) -> list[Tensor]:
    return [weight for weight in drawn(cell, init).values() if weight.ndim == 1]


def unbiased(cell: Cell) -> Cell:
    """The cell with what its YAML adds to biases taken away."""
    added = {name: 0.0 for name in ("forget_bias", "update_bias") if hasattr(cell, name)}
    return replace(cell, **added)  # type: ignore[arg-type]


@pytest.mark.parametrize("init", GAUSSIAN)
def test_input_weights_are_gaussian_with_the_published_deviation(cell: Cell, init: str) -> None:
    weights = drawn(cell, init)["weight_ih"].flatten()
    assert kstest(weights, norm(0, GAUSSIAN[init]).cdf).pvalue > 1e-3
    assert weights.std() == pytest.approx(GAUSSIAN[init], rel=4 / (2 * len(weights)) ** 0.5)


@pytest.mark.parametrize("init", ["sigmoid", "basic_tanh"])
def test_recurrent_weights_are_gaussian_with_the_published_deviation(cell: Cell, init: str) -> None:
    weights = drawn(cell, init)["weight_hh"].flatten()
    assert kstest(weights, norm(0, GAUSSIAN[init]).cdf).pvalue > 1e-3


@pytest.mark.parametrize("init", GAUSSIAN)
def test_biases_of_the_published_kinds_are_zero(cell: Cell, init: str) -> None:
    assert all((bias == 0).all() for bias in biases(unbiased(cell), init))


def test_smart_tanh_has_fifteen_nonzeros_a_unit_and_spectral_radius_095(cell: Cell) -> None:
    for block in blocks(drawn(cell, "smart_tanh")["weight_hh"]):
        assert ((block != 0).sum(dim=1) == 15).all()
        assert float(torch.linalg.eigvals(block.double()).abs().max()) == pytest.approx(0.95, abs=1e-5)
        assert len((block != 0).any(dim=0).nonzero()) == HIDDEN  # no unit is without readers


def test_smart_tanh_of_a_small_cell_is_dense(cell: Cell) -> None:
    weights = replace(cell, init="smart_tanh", hidden=7).weights(2, torch.Generator().manual_seed(0))["weight_hh"]
    assert (weights != 0).all()
    for block in weights.split(7):
        assert float(torch.linalg.eigvals(block.double()).abs().max()) == pytest.approx(0.95, abs=1e-5)


def test_each_gate_of_an_orthogonal_cell_is_orthogonal(cell: Cell) -> None:
    found = blocks(drawn(cell, "orthogonal")["weight_hh"])
    for block in found:
        torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN), rtol=0, atol=1e-5)
    assert all(not torch.equal(one, other) for index, one in enumerate(found) for other in found[:index])


def test_orthogonal_matrices_are_of_both_orientations(cell: Cell) -> None:
    signs = {
        int(torch.linalg.det(blocks(drawn(cell, "orthogonal", seed)["weight_hh"])[0].double()).sign())
        for seed in range(20)
    }
    assert signs == {-1, 1}


@pytest.mark.parametrize(
    ("init", "names"), [("torch", ("weight_ih", "weight_hh", "bias")), ("orthogonal", ("weight_ih", "bias"))]
)
def test_torch_s_range_is_one_over_the_root_of_the_units(cell: Cell, init: str, names: tuple[str, ...]) -> None:
    bound = HIDDEN**-0.5
    for name, weight in drawn(unbiased(cell), init).items():
        if name.startswith(names):
            assert 0.9 * bound < weight.abs().max() <= bound
            assert kstest(weight.flatten(), "uniform", args=(-bound, 2 * bound)).pvalue > 1e-3


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_the_default_of_torch_is_what_torch_does(kind: type[torch.nn.RNNBase]) -> None:
    theirs = kind(INPUTS, HIDDEN).weight_hh_l0.detach().flatten()
    ours = initialization.recurrent(
        "torch", len(theirs) // HIDDEN**2, HIDDEN, torch.Generator().manual_seed(1)
    ).flatten()
    assert ks_2samp(ours, theirs).pvalue > 1e-3


@pytest.mark.parametrize(("kind", "name"), [(LSTM, "forget_bias"), (GRU, "update_bias")])
@pytest.mark.parametrize("init", initialization.KINDS)
def test_a_bias_is_added_to_its_gate_and_to_nothing_else(kind: type[Cell], name: str, init: str) -> None:
    plain, biased = (
        kind(5, init, **{name: value}).weights(2, torch.Generator().manual_seed(0))  # type: ignore[call-arg]
        for value in (0.0, 3.0)
    )
    difference = {key: biased[key] - plain[key] for key in plain}
    expected = torch.zeros(len(plain["bias_ih"]))
    expected[5:10] = 3.0  # the second gate, as in torch.nn
    torch.testing.assert_close(difference.pop("bias_ih"), expected, rtol=0, atol=1e-6)
    assert all((part == 0).all() for part in difference.values())


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
def test_the_gain_of_an_rnn_scales_its_recurrent_matrix_and_nothing_else(gain: float) -> None:
    plain, scaled = (RNN(9, "orthogonal", g).weights(2, torch.Generator().manual_seed(0)) for g in (1.0, gain))
    torch.testing.assert_close(scaled.pop("weight_hh"), gain * plain.pop("weight_hh"), rtol=0, atol=0)
    assert all(torch.equal(scaled[name], plain[name]) for name in plain)


@pytest.mark.parametrize(("kind", "bias"), [(LSTM, "forget_bias"), (GRU, "update_bias")])
def test_chrono_draws_how_long_each_unit_is_kept_and_leaves_the_rest(kind: type[Cell], bias: str) -> None:
    """e^b of the gate that keeps is uniform on (1, T_max - 1), as published; the input gate of an LSTM has -b."""
    plain, drawn = (
        kind(4000, "sigmoid", **{bias: 0.0, "chrono": longest}).weights(1, torch.Generator().manual_seed(0))  # type: ignore[call-arg]
        for longest in (None, 50)
    )
    total = (drawn.pop("bias_ih") + drawn.pop("bias_hh")).view(-1, 4000)
    assert kstest(total[1].exp(), "uniform", args=(1, 48)).pvalue > 1e-3
    others = [-total[1]] if kind is LSTM else [torch.zeros(4000)]
    torch.testing.assert_close(total[0], others[0], rtol=0, atol=0)
    assert (total[2:] == 0).all()
    assert all(torch.equal(drawn[name], plain[name]) for name in drawn)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_a_bias_is_added_to_that_of_the_chrono_init(kind: Callable[..., Cell]) -> None:
    plain, moved = (kind(5, "torch", bias, 9).weights(3, torch.Generator().manual_seed(1)) for bias in (0.0, 2.0))
    difference = moved["bias_ih"] - plain["bias_ih"]
    assert (
        torch.allclose(difference[5:10], torch.tensor(2.0)) and not difference[:5].any() and not difference[10:].any()
    )
    assert all(torch.equal(moved[name], plain[name]) for name in moved if name != "bias_ih")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RNN(5, "torch", 0.0), "cell.gain must be above 0 and finite; got 0.0"),
        (lambda: LSTM(5, "torch", 0.0, 2), "cell.chrono is the longest time .* at least 3; tied: .*; or null; got 2"),
        (lambda: GRU(5, "torch", 0.0, 1), "cell.chrono is the longest time .*; got 1"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], Cell], sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}$"):
        make()


@pytest.mark.parametrize(
    "cell", [LSTM(5, "torch", forget_bias=60.0), GRU(5, "torch", update_bias=60.0)], ids=["lstm", "gru"]
)
def test_a_large_bias_keeps_the_state(cell: Cell) -> None:
    weights = cell.weights(2, torch.Generator().manual_seed(0))
    weights = {name: w * 0 if name == "weight_ih" else w for name, w in weights.items()}
    one, other = (torch.full((1, 5), value) for value in (0.2, -0.7))
    states = [
        cell.forward(weights, (torch.zeros(1, 5), begin)[-len(cell.states) :], torch.zeros(1, 2))
        for begin in (one, other)
    ]
    torch.testing.assert_close(states[0][-1] - states[1][-1], one - other)  # what was apart stays apart
