"""The kernels against an unrolled loop under autograd, against torch.nn, and against each other."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell, State
from pipeline.cells.cell import Weights as CellWeights
from pipeline.cells.rnn import RNN
from pipeline.kernels.scaling import FLOOR
from pipeline.kernels.unroll import unroll
from tests.kernels.oracle import CELLS, FAST, KERNELS, by_autograd, by_kernel, draw, make_cell, make_weights
from tests.kernels.oracle import assert_close as assert_results_close


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


shapes = st.fixed_dictionaries(
    {
        "replicas": st.integers(1, 4),
        "time": st.integers(1, 20),
        "batch": st.integers(1, 9),
        "channels": st.integers(1, 5),
        "hidden": st.sampled_from([1, 2, 3, 5, 7, 8, 13, 16, 17, 20, 33]),
        "outputs": st.integers(1, 20),
    }
)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=15, deadline=None)
@given(shape=shapes, seed=st.integers(0, 1000))
def test_every_kernel_equals_autograd_in_float64(name: str, kernel: str, shape: dict[str, int], seed: int) -> None:
    cell = make_cell(name, shape["hidden"])
    weights = make_weights(cell, shape["replicas"], shape["channels"], seed)
    inputs = draw(shape["replicas"], shape["time"], shape["batch"], shape["channels"], seed=seed)
    outputs = min(shape["outputs"], shape["time"])
    upstream = draw(shape["replicas"], outputs, shape["batch"], shape["hidden"], seed=seed + 1)
    truth = by_autograd(cell, weights, inputs, upstream)
    assert_results_close(by_kernel(kernel, cell, weights, inputs, upstream), truth, 1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_every_kernel_in_float32_is_near_float64(name: str, kernel: str) -> None:
    cell = make_cell(name, 50)
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 60, 17, 2), draw(3, 4, 17, 50, seed=2)
    truth = by_autograd(cell, weights, inputs, upstream)
    single = {key: weight.detach().float().requires_grad_() for key, weight in weights.items()}
    assert_results_close(by_kernel(kernel, cell, single, inputs.float(), upstream.float()), truth, 5e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 5e-6)])
def test_every_kernel_equals_torch_nn(name: str, kernel: str, dtype: torch.dtype, tolerance: float) -> None:
    cell = make_cell(name, 24)
    weights = make_weights(cell, 2, 3, dtype=dtype)
    inputs, upstream = draw(2, 30, 8, 3, dtype=dtype), draw(2, 5, 8, 24, seed=2, dtype=dtype)
    result = by_kernel(kernel, cell, weights, inputs, upstream)
    for replica in range(2):
        module = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[name](3, 24).to(dtype)
        module.load_state_dict({f"{key}_l0": weight[replica].detach() for key, weight in weights.items()})
        outputs = module(inputs[replica])[0][-5:]
        (outputs * upstream[replica]).sum().backward()
        torch.testing.assert_close(result.outputs[replica], outputs.detach(), rtol=0, atol=tolerance)
        for key, gradient in result.gradients.items():
            expected = getattr(module, f"{key}_l0").grad
            torch.testing.assert_close(
                gradient[replica], expected, rtol=0, atol=tolerance * float(expected.abs().max())
            )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_norms_do_not_underflow_in_float32(name: str, kernel: str) -> None:
    """torch's init over 500 steps: most of the true norms are below the smallest float32, and all below its root."""
    cell = make_cell(name, 16)
    weights = make_weights(cell, 2, 2)
    inputs, upstream = draw(2, 500, 4, 2), draw(2, 1, 4, 16, seed=2)
    truth = by_autograd(cell, weights, inputs, upstream)
    assert truth.norms["h"].min() < -149
    single = {key: weight.detach().float().requires_grad_() for key, weight in weights.items()}
    result = by_kernel(kernel, cell, single, inputs.float(), upstream.float())
    for part, norm in truth.norms.items():
        assert (result.norms[part] - norm).abs().max() < 1e-3


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_norms_do_not_overflow_in_float32(name: str, kernel: str) -> None:
    """An expanding map near the zero state, whose true gradients leave the range of float32."""
    cell = make_cell(name, 6)
    weights = make_weights(cell, 2, 2)
    with torch.no_grad():
        weights["weight_hh"].copy_(4 * torch.eye(6).tile(len(weights["weight_hh"][0]) // 6, 1))
        if name != "rnn":
            weights["weight_hh"][:, : 2 * 6] = 0
            weights["weight_hh"][:, -6:] *= 8 if name == "gru" else 0
            weights["weight_hh"][:, 12:18] *= 8 if name == "lstm" else 1
        weights["bias_ih"].zero_()
        weights["bias_hh"].zero_()
    inputs, upstream = torch.zeros(2, 150, 3, 2, dtype=torch.float64), draw(2, 1, 3, 6, seed=2)
    truth = by_autograd(cell, weights, inputs, upstream)
    assert truth.norms["h"].max() > 140
    single = {key: weight.detach().float().requires_grad_() for key, weight in weights.items()}
    result = by_kernel(kernel, cell, single, inputs.float(), upstream.float())
    for part, norm in truth.norms.items():
        assert (result.norms[part] - norm).abs().max() < 1e-3


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_tokens_are_one_hot_inputs(name: str, kernel: str, dtype: torch.dtype) -> None:
    cell = make_cell(name, 9)
    weights = make_weights(cell, 2, 7)
    tokens = torch.randint(0, 7, (2, 21, 5), generator=torch.Generator().manual_seed(3))
    inputs = torch.nn.functional.one_hot(tokens, 7).double()
    upstream = draw(2, 3, 5, 9)
    expected = by_kernel(kernel, cell, weights, inputs, upstream)
    assert_results_close(by_kernel(kernel, cell, weights, tokens.to(dtype), upstream), expected, 1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_finite_differences_agree(name: str, kernel: str) -> None:
    cell = make_cell(name, 3)
    weights = make_weights(cell, 2, 2)
    inputs = draw(2, 5, 2, 2)

    def outputs(*tensors: Tensor) -> Tensor:
        return unroll(cell, dict(zip(weights, tensors, strict=True)), inputs, 2, None, kernel=kernel)

    assert torch.autograd.gradcheck(outputs, tuple(weights.values()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("kernel", ["torch", "stepwise"])
@pytest.mark.parametrize("name", CELLS)
def test_cuda_computes_the_same(name: str, kernel: str) -> None:
    cell = make_cell(name, 9)
    weights = make_weights(cell, 2, 3)
    inputs, upstream = draw(2, 300, 4, 3), draw(2, 2, 4, 9)
    truth = by_kernel(kernel, cell, weights, inputs, upstream)
    there = {key: weight.detach().cuda().requires_grad_() for key, weight in weights.items()}
    result = by_kernel(kernel, cell, there, inputs.cuda(), upstream.cuda())
    assert_results_close(result.on("cpu"), truth, 1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_without_gradients_the_outputs_are_the_same(name: str, kernel: str) -> None:
    cell = make_cell(name, 11)
    weights = make_weights(cell, 2, 2)
    inputs = draw(2, 29, 3, 2)
    with_graph = unroll(cell, weights, inputs, 12, kernel=kernel)
    with torch.no_grad():
        without = unroll(cell, weights, inputs, 12, kernel=kernel)
    assert not without.requires_grad
    torch.testing.assert_close(without, with_graph.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_shared_inputs_need_no_copy_for_each_replica(name: str, kernel: str) -> None:
    cell = make_cell(name, 5)
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(1, 13, 4, 2).expand(3, -1, -1, -1), draw(3, 2, 4, 5)
    expected = by_kernel(kernel, cell, weights, inputs.contiguous(), upstream)
    assert_results_close(by_kernel(kernel, cell, weights, inputs, upstream), expected, 0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_memory_may_lie_in_any_order(name: str, kernel: str) -> None:
    cell = make_cell(name, 5)
    weights = {key: weight.detach().requires_grad_() for key, weight in make_weights(cell, 3, 2).items()}
    scattered = {key: w.detach().flip(-1).mT.contiguous().mT.flip(-1).requires_grad_() for key, w in weights.items()}
    inputs, upstream = draw(3, 13, 4, 2), draw(3, 2, 4, 5)
    expected = by_kernel(kernel, cell, weights, inputs, upstream)
    other = by_kernel(kernel, cell, scattered, inputs.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0), upstream)
    assert_results_close(other, expected, 1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_replicas_do_not_mix(name: str, kernel: str) -> None:
    cell = make_cell(name, 6)
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 9, 4, 2), draw(3, 2, 4, 6)
    whole = by_kernel(kernel, cell, weights, inputs, upstream)
    broken = {key: weight.detach().clone() for key, weight in weights.items()}
    broken["weight_hh"][1] = torch.nan
    result = by_kernel(kernel, cell, {k: w.requires_grad_() for k, w in broken.items()}, inputs, upstream)
    for replica in (0, 2):
        for key, gradient in whole.gradients.items():
            assert torch.equal(result.gradients[key][replica], gradient[replica])
        torch.testing.assert_close(result.norms["h"][replica], whole.norms["h"][replica], rtol=0, atol=1e-12)
    assert result.norms["h"][1, :-1].isnan().all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_norm_of_a_zero_gradient_is_the_floor(kernel: str) -> None:
    cell = make_cell("rnn", 4)
    weights = make_weights(cell, 2, 2)
    with torch.no_grad():
        weights["weight_hh"].zero_()
    result = by_kernel(kernel, cell, weights, draw(2, 6, 3, 2), draw(2, 1, 3, 4))
    assert (result.norms["h"][:, :-1] == FLOOR).all()
    assert result.norms["h"][:, -1].min() > -10
    nothing = by_kernel(kernel, cell, weights, draw(2, 6, 3, 2), torch.zeros(2, 3, 3, 4, dtype=torch.float64))
    assert (nothing.norms["h"] == FLOOR).all()
    assert all((gradient == 0).all() for gradient in nothing.gradients.values())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CELLS)
def test_outputs_whose_gradients_differ_by_many_orders_are_added_exactly(name: str, kernel: str) -> None:
    cell = make_cell(name, 4)
    weights = make_weights(cell, 2, 2)
    inputs, upstream = draw(2, 12, 3, 2), draw(2, 12, 3, 4) * torch.logspace(-20, 20, 12).view(1, -1, 1, 1)
    upstream[:, 5] = 0
    for scaled in (upstream, upstream.flip(1)):
        truth = by_autograd(cell, weights, inputs, scaled)
        assert_results_close(by_kernel(kernel, cell, weights, inputs, scaled), truth, 1e-13)


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize("name", CELLS)
def test_the_gradients_of_the_weights_are_the_same_bits_without_norms(name: str, kernel: str) -> None:
    cell = make_cell(name, 8)
    weights = make_weights(cell, 2, 2, dtype=torch.float32)
    inputs, upstream = draw(2, 40, 5, 2, dtype=torch.float32), draw(2, 2, 5, 8, dtype=torch.float32)
    outputs = unroll(cell, weights, inputs, 2, None, kernel=kernel)
    plain = torch.autograd.grad((outputs * upstream).sum(), list(weights.values()))
    for one, other in zip(plain, by_kernel(kernel, cell, weights, inputs, upstream).gradients.values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kernel", KERNELS)
def test_memory_that_serves_a_later_pass_is_not_read_by_a_second_backward(kernel: str) -> None:
    cell = make_cell("gru", 4)
    weights = make_weights(cell, 2, 2)
    inputs = draw(2, 6, 3, 2)
    first = unroll(cell, weights, inputs, 1, kernel=kernel).sum()
    second = unroll(cell, weights, 2 * inputs, 1, kernel=kernel).sum()  # before the first's backward pass
    expected = torch.autograd.grad(first, list(weights.values()), retain_graph=True)
    again = torch.autograd.grad(first, list(weights.values()), retain_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(expected, again, strict=True))
    torch.autograd.grad(second, list(weights.values()))
    third = unroll(cell, weights, 3 * inputs, 1, kernel=kernel).sum()
    if kernel != "stepwise":
        with pytest.raises(RuntimeError, match="second backward"):
            torch.autograd.grad(first, list(weights.values()))
            torch.autograd.grad(second, list(weights.values()))
    torch.autograd.grad(third, list(weights.values()))


@dataclass(frozen=True)
class Counter(Cell):
    """A user's cell: other weights, a part of the state that no weight reaches, and a clock."""

    states: ClassVar[tuple[str, ...]] = ("h", "clock")

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Tensor]:
        return {"mix": torch.randn(self.hidden, inputs, generator=random), "unused": torch.ones(2)}

    def forward(self, weights: CellWeights, state: State, input: Tensor) -> State:
        h, clock = state
        return torch.sin(h + input @ weights["mix"].mT) / (1 + clock), clock + 1


@pytest.mark.parametrize("kernel", ["auto", "torch", "stepwise"])
def test_any_cell_is_served(kernel: str) -> None:
    cell = Counter(5, "torch")
    weights = make_weights(cell, 3, 2)
    inputs, upstream = draw(3, 9, 4, 2), draw(3, 4, 4, 5)
    result = by_kernel(kernel, cell, weights, inputs, upstream)
    parts = {name: weights[name].detach().requires_grad_() for name in weights}
    state = tuple(torch.zeros(3, 4, 5, dtype=torch.float64) for _ in cell.states)
    kept = []
    for step in range(9):
        state = cell.forward(parts, state, inputs[:, step])
        kept.append(state[0])
    outputs = torch.stack(kept[-4:], dim=1)
    (outputs * upstream).sum().backward()
    torch.testing.assert_close(result.outputs, outputs.detach())
    torch.testing.assert_close(result.gradients["mix"], parts["mix"].grad)
    assert (result.gradients["unused"] == 0).all()
    with pytest.raises(ValueError, match="tokens need `channels`"):
        unroll(cell, weights, torch.zeros(3, 9, 4, dtype=torch.int64), 1)
    one_hot = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(3, 9, 4, 2)
    tokens = torch.zeros(3, 9, 4, dtype=torch.uint8)
    assert torch.equal(unroll(cell, weights, tokens, 1, channels=2), unroll(cell, weights, one_hot, 1))


@dataclass(frozen=True)
class Slower(RNN):
    """A cell that inherits from a known one, and is another."""

    def forward(self, weights: CellWeights, state: State, input: Tensor) -> State:
        (h,) = super().forward(weights, state, input)
        return (h / 2,)


def test_a_cell_derived_from_a_known_one_is_not_taken_for_it() -> None:
    cell = Slower(4, "torch")
    weights, inputs, upstream = make_weights(cell, 2, 2), draw(2, 6, 3, 2), draw(2, 2, 3, 4)
    truth = by_autograd(cell, weights, inputs, upstream)
    assert_results_close(by_kernel("auto", cell, weights, inputs, upstream), truth, 1e-14)


def test_a_kernel_that_cannot_serve_is_named() -> None:
    cell = Slower(4, "torch")
    weights, inputs = make_weights(cell, 2, 2), draw(2, 6, 3, 2)
    with pytest.raises(UserError, match=r"training.kernel must be one of auto, fused, torch, stepwise; got 'numba'"):
        unroll(cell, weights, inputs, 1, kernel="numba")


def _without(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: weight for key, weight in weights.items() if key != name}


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_does_not_fit_is_refused_in_words(kernel: str) -> None:
    cell = make_cell("gru", 4)
    good, inputs = make_weights(cell, 2, 3), draw(2, 6, 5, 3)
    half = {key: weight.half() for key, weight in good.items()}
    tokens = torch.full((2, 6, 5), 3)
    norm = torch.zeros(2, 6)
    cases = [
        (good, inputs[0], 1, None, "inputs are"),
        (good, inputs[:, :0], 1, None, "not empty"),
        (good, inputs[:, :, :0], 1, None, "not empty"),
        (good, inputs[:0], 1, None, "not empty"),
        (good, inputs[..., :2], 1, None, "weight_ih is"),
        (good, inputs.clone().requires_grad_(), 1, None, "inputs get no gradient"),
        (good, inputs, 0, None, "outputs is from 1"),
        (good, inputs, 7, None, "outputs is from 1"),
        (good, inputs.float(), 1, None, "of the weights' type"),
        (half, inputs.half(), 1, None, "all float32 or all float64"),
        (good, tokens, 1, None, "tokens are from 0 to 2"),
        (good, -tokens, 1, None, "tokens are from 0 to 2"),
        (good, tokens.int() * 0, 1, None, "uint8 or int64"),
        (good, inputs.tile(2, 1, 1, 1), 1, None, "one row a replica"),
        (_without(good, "bias_hh"), inputs, 1, None, "the weights are"),
        ({**good, "weight_hh": good["weight_hh"][:, :9]}, inputs, 1, None, "weight_hh is"),
        (good, inputs, 1, {"h": norm[:, :3]}, "norms are"),
        (good, inputs, 1, {"h": norm.long()}, "norms are"),
        (good, inputs, 1, {"c": norm}, "norms are named"),
    ]
    for weights, wrong, outputs, norms, message in cases:
        with pytest.raises(ValueError, match=message):
            inspect.unwrap(unroll)(cell, weights, wrong, outputs, norms, kernel=kernel)  # not stopped by type checks
