"""Replicas in rows, and their sequences."""

import numpy as np
import pytest
import torch

from pipeline.cells.cell import Cell
from pipeline.data import streams
from pipeline.data.held_out import draw
from pipeline.learning import model as models
from pipeline.learning.batches import shared_sequences, training_sequences
from pipeline.learning.model import Layout, Model
from pipeline.learning.objective import objective
from pipeline.tasks.task import Task


def test_a_view_is_the_row_itself() -> None:
    layout = Layout({"a": (2, 3), "b": (4,)})
    rows = torch.arange(20.0).view(2, 10)
    views = layout.views(rows)
    assert torch.equal(views["a"][1], rows[1, :6].view(2, 3))
    assert torch.equal(views["b"][0], rows[0, 6:])
    views["b"].zero_()
    assert (rows[:, 6:] == 0).all()
    assert (rows[0, 1:6] != 0).all()


def test_gradients_of_views_arrive_in_the_rows() -> None:
    layout = Layout({"a": (2, 3), "b": (4,)})
    rows = torch.zeros(2, 10, requires_grad=True)
    (layout.views(rows)["a"].sum() + 5 * layout.views(rows)["b"].sum()).backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad, torch.tensor([[1.0] * 6 + [5.0] * 4] * 2))


def test_weights_of_a_replica_depend_on_seed_and_replica_alone(cell: Cell) -> None:
    together, _ = models.begin(cell, 3, 2, 9, [4, 0, 7])
    for position, replica in enumerate([4, 0, 7]):
        alone, _ = models.begin(cell, 3, 2, 9, [replica])
        assert torch.equal(together[position], alone[0])
    others = [models.begin(cell, 3, 2, seed, [replica])[0][0] for seed, replica in ((9, 1), (8, 4))]
    assert not any(torch.equal(together[0], other) for other in others)


def test_the_answer_is_a_linear_readout_of_the_last_states(cell: Cell) -> None:
    rows, layout = models.begin(cell, 3, 2, 0, [0, 1])
    inputs = torch.randn(2, 9, 5, 3, generator=torch.Generator().manual_seed(0))
    answered = Model(cell, layout, rows, "auto", 1)(inputs, 4)
    assert answered.shape == (2, 4, 5, 2)
    weights = layout.views(rows)
    readout, bias = (weights.pop(name) for name in models.READOUT)
    for replica in range(2):
        one = cell.materialise({name: weight[replica] for name, weight in weights.items()})
        state = tuple(torch.zeros(5, width) for width in cell.widths)
        for step in range(9):
            state = cell.forward(one, state, inputs[replica, step])
            if step >= 5:
                expected = torch.nn.functional.linear(state[0], readout[replica], bias[replica])
                torch.testing.assert_close(answered[replica, step - 5], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_gradient_by_hand_is_that_of_autograd(cell: Cell, kind: str) -> None:
    """Of the loss by the rows, and through time; the fused pass has no autograd where the loss is asked for."""
    random = torch.Generator().manual_seed(0)
    rows, layout = models.begin(cell, 3, 4, 0, [0, 1, 2])
    inputs = torch.randn(3, 11, 5, 3, generator=random).double()
    drawn = torch.randn(3, 2, 5, 4, generator=random).double()
    targets = drawn if kind == "regression" else drawn.argmax(-1)
    found = {}
    for kernel in ("auto", "stepwise"):
        model = Model(cell, layout, rows.double().requires_grad_(), kernel, 1)
        norms = {name: torch.empty(3, 11, dtype=torch.float64) for name in cell.states}
        for _ in range(2):  # the memory of the first is used again
            losses = model.gradient(inputs, targets, 2, objective(kind), norms)
        assert not losses.requires_grad
        least = max(float(norm.max()) for norm in norms.values()) - 40
        above = {name: norm.clamp(min=least) for name, norm in norms.items()}  # below is rounding, as of the sLSTM's m
        found[kernel] = losses, model.rows.grad, above
    torch.testing.assert_close(found["auto"], found["stepwise"], rtol=1e-9, atol=1e-12)


def test_training_sequences_are_those_of_each_replica(task: Task) -> None:
    length = task.shortest + 9
    stacked = training_sequences(task, 5, [3, 0], 17, length, 4, "cpu")
    for position, replica in enumerate([3, 0]):
        batch = task.sample(streams.training(5, replica, 17), length, 4)
        assert np.array_equal(stacked.inputs[position].numpy(), batch.inputs)
        assert np.array_equal(stacked.targets[position].numpy(), batch.targets)


def test_held_out_sequences_are_shared_and_not_copied(task: Task) -> None:
    batch = draw(task, 1, task.shortest + 5, 20)
    shared = shared_sequences(batch, 6, "cpu")
    assert shared.inputs.stride(0) == shared.targets.stride(0) == 0
    assert all(np.array_equal(shared.inputs[replica].numpy(), batch.inputs) for replica in range(6))


def test_a_thread_more_is_started_only_where_it_has_enough_to_do() -> None:
    weights = {
        "weight_hh": torch.zeros(4, 128, 32)
    }  # of four replicas; 16384 multiplications for each step and sequence
    steps = models.WORTHWHILE // (16384 * 32)
    for length, threads in ((1, 1), (steps + 1, 2), (100 * steps, 3)):
        assert models.worthwhile(3, weights, torch.zeros(4, length, 32, dtype=torch.uint8)) == threads
    assert models.worthwhile(1, weights, torch.zeros(4, 100 * steps, 32, 2)) == 1
