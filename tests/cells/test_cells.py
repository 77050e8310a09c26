"""What every cell of conf/cell promises."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell, State
from tests.cells.reached import drawn, noise, reached

SIZES = {
    "hidden": st.integers(1, 9),
    "batch": st.integers(1, 6),
    "inputs": st.integers(1, 5),
    "seed": st.integers(0, 999),
}


def gradients(cell: Cell, weights: Mapping[str, Tensor], state: State, input: Tensor) -> list[Tensor]:
    """The next state, and the gradient of a fixed function of it by all that went in."""
    leaves = [leaf.detach().requires_grad_() for leaf in (*weights.values(), *state, input)]
    named = dict(zip(weights, leaves, strict=False))
    after = cell.forward(named, tuple(leaves[len(weights) : -1]), leaves[-1])
    loss = sum((part * torch.cos(part)).sum() * (index + 1) for index, part in enumerate(after))
    assert isinstance(loss, Tensor)
    found = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return [*(part.detach() for part in after), *found]


@examples(max_examples=20, deadline=None)
@given(**SIZES, replicas=st.integers(1, 4))
def test_replicas_at_once_are_a_loop_over_replicas(
    cell: Cell, hidden: int, batch: int, inputs: int, seed: int, replicas: int
) -> None:
    cell = replace(cell, hidden=hidden)
    weights = drawn(cell, inputs, seed, replicas)
    state = reached(cell, weights, replicas, batch, inputs=inputs, seed=seed)
    input = noise(replicas, batch, inputs, seed=seed + 9)
    at_once = gradients(cell, weights, state, input)
    for r in range(replicas):
        one = gradients(cell, {name: w[r] for name, w in weights.items()}, tuple(part[r] for part in state), input[r])
        for several, single in zip(at_once, one, strict=True):
            torch.testing.assert_close(several[r], single, rtol=1e-12, atol=1e-13)


@examples(max_examples=20, deadline=None)
@given(**SIZES)
def test_sequences_of_a_batch_do_not_mix(cell: Cell, hidden: int, batch: int, inputs: int, seed: int) -> None:
    cell = replace(cell, hidden=hidden)
    weights = drawn(cell, inputs, seed)
    state, input = reached(cell, weights, batch, inputs=inputs, seed=seed), noise(batch, inputs, seed=seed + 9)
    before = cell.forward(weights, state, input)
    input[0] += 1
    for one, other in zip(before, cell.forward(weights, state, input), strict=True):
        torch.testing.assert_close(one[1:], other[1:], rtol=1e-13, atol=1e-14)


@examples(max_examples=20, deadline=None)
@given(**SIZES)
def test_a_step_keeps_shapes_and_changes_nothing_that_came_in(
    cell: Cell, hidden: int, batch: int, inputs: int, seed: int
) -> None:
    cell = replace(cell, hidden=hidden)
    weights = drawn(cell, inputs, seed)
    state, input = reached(cell, weights, batch, inputs=inputs, seed=seed), noise(batch, inputs, seed=seed)
    came_in = [*weights.values(), *state, input]
    copies = [tensor.clone() for tensor in came_in]
    after = cell.forward(weights, state, input)
    assert [part.shape for part in after] == [(batch, width) for width in cell.widths]
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(came_in, copies, strict=True))


def test_gradients_of_a_step_are_finite_differences(cell: Cell) -> None:
    """At weights somewhat away from where they begin, where no unit lies at the kink of a rectifier."""
    cell, input = replace(cell, hidden=3), noise(2, 2, seed=1)
    weights = {name: w + 0.2 * noise(*w.shape, seed=n) for n, (name, w) in enumerate(drawn(cell, 2, 0).items())}
    state = reached(cell, weights, 2, inputs=2, seed=0)
    leaves = [leaf.requires_grad_() for leaf in (*weights.values(), *state, input)]

    def step(*parts: Tensor) -> State:
        named = dict(zip(weights, parts, strict=False))
        return cell.forward(named, parts[len(weights) : -1], parts[-1])

    assert torch.autograd.gradcheck(step, leaves)


def test_weights_depend_on_the_generator_alone(cell: Cell) -> None:
    for init in cell.inits:
        begun = replace(cell, init=init)
        one, same, other = (begun.weights(4, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
        assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in one.values())
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert not all(torch.equal(one[name], other[name]) for name in one)


def test_the_global_generator_is_left_alone(cell: Cell) -> None:
    before = torch.get_rng_state()
    cell.weights(3, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_state_moves_with_the_input(cell: Cell) -> None:
    weights = drawn(cell, 2, 0)
    state = tuple(torch.zeros(1, width, dtype=torch.float64) for width in cell.widths)
    ends = [cell.forward(weights, state, torch.full((1, 2), value, dtype=torch.float64))[0] for value in (-1.0, 1.0)]
    assert (ends[0] - ends[1]).abs().max() > 1e-3 * max(float(end.abs().max()) for end in ends) > 0


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("init", "nope")])
def test_a_value_out_of_range_is_refused(cell: Cell, name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^cell.{name} must be .*; got {value!r}$"):
        replace(cell, **{name: value})  # type: ignore[arg-type]
