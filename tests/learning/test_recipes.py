"""Replicas with settings of their own: each goes the way that it goes alone with the plain optimizer and clip."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.data.held_out import draw as draw_held_out
from pipeline.learning import model as models
from pipeline.learning.optimizer import MakeOptimizer, clip
from pipeline.learning.recipes import RATE, PerReplica, Recipe, require_proportional
from pipeline.learning.replicas import train_replicas
from tests.conftest import compose
from tests.learning.trials import small, train

KINDS = {
    "adam": partial(torch.optim.Adam, betas=(0.8, 0.99)),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),
    "momentum": partial(torch.optim.SGD, momentum=0.9),
}
RECIPES = [("adam", 0.003, 1.0), ("rmsprop", 0.02, 0.3), ("momentum", 0.5, torch.inf), ("adam", 0.05, 0.1)]
ROWS = 4


def recipes() -> list[Recipe]:
    return [Recipe(name, partial(KINDS[name], lr=1.0), rate, largest) for name, rate, largest in RECIPES]


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def alone(row: torch.Tensor, name: str, rate: float, largest: float, updates: int, position: int) -> torch.Tensor:
    """One row with torch's own optimizer at its own rate."""
    mine = row.clone().unsqueeze(0).requires_grad_()
    optimizer = KINDS[name]([mine], lr=rate)
    for update in range(updates):
        mine.grad = draw(ROWS, 6, seed=update)[position : position + 1].clone()
        clip(mine.grad, largest)
        optimizer.step()
    return mine.detach()[0]


@pytest.mark.parametrize("leaving", [False, True])
def test_each_row_goes_the_way_of_its_own_optimizer_whoever_leaves(leaving: bool) -> None:
    begin = draw(ROWS, 6, seed=100)
    rows, kept = begin.clone().requires_grad_(), torch.arange(ROWS)
    optimizer = PerReplica(rows, recipes())
    for update in range(12):
        rows.grad = draw(ROWS, 6, seed=update)[kept]
        optimizer.step()
        if leaving and update in (3, 7):
            staying = torch.arange(len(kept))[1:]
            optimizer, rows = optimizer.narrowed(staying)
            kept = kept[staying]
    for place, position in enumerate(kept.tolist()):
        expected = alone(begin[position], *RECIPES[position], 12, position)
        torch.testing.assert_close(rows.detach()[place], expected, rtol=1e-5, atol=1e-6)
    assert len(kept) == (2 if leaving else ROWS)


@pytest.mark.parametrize(("task", "cell"), [("adding", "gru"), ("temporal_order", "lstm")])
def test_a_training_of_different_settings_side_by_side_equals_separate_trainings(task: str, cell: str) -> None:
    """Learning rate, clip, optimizer and initial weights differ; seeds, data and updates are those of the replica."""
    choices = [
        ("adam", "optimizer.lr=0.02", "training.clip=0.5", "cell.init=torch"),
        ("rmsprop", "optimizer.lr=0.004", "training.clip=0.05", "cell.init=orthogonal"),
        ("adam", "optimizer.lr=0.001", "training.clip=inf", "cell.init=basic_tanh"),
    ]
    each = [small(task, cell, f"optimizer={name}", *overrides) for name, *overrides in choices]
    base, seeds = each[0], [5, 3, 2**40 + 1]
    make = [compose(f"optimizer={name}", "optimizer.lr=1").optimizer for name, *_ in choices]
    given = [
        Recipe(choice[0], made, found.tree["optimizer"]["lr"], found.training.clip)
        for choice, made, found in zip(choices, make, each, strict=True)
    ]
    held_out = draw_held_out(base.task, base.data.seed, base.training.length, base.data.held_out)
    cells: list[Cell] = [found.cell for found in each]
    unclipped = replace(base.training, clip=torch.inf)
    parts = base.task, base.cell, lambda rows: PerReplica(rows[0], given), unclipped
    together = train_replicas(*parts, base.training.length, seeds, held_out, begins=cells)
    for position, (found, seed) in enumerate(zip(each, seeds, strict=True)):
        separate = train(found, [seed])
        torch.testing.assert_close(together.weights[position], separate.weights[0], rtol=1e-4, atol=1e-5)
        assert together.outcomes[position].best_score == pytest.approx(separate.outcomes[0].best_score, rel=1e-3)
    begun, _ = models.begin(cells, base.task.channels, base.task.outputs, base.training.seed, seeds)
    assert not torch.allclose(together.weights, begun, atol=1e-4)  # it did train


def test_replicas_of_one_seed_that_begin_with_different_cells_begin_differently() -> None:
    cells = [compose("cell=lstm", f"cell.forget_bias={bias}").cell for bias in (0, 2)]
    rows, layout = models.begin(cells, 3, 2, 9, [4, 4])
    weights = layout.views(rows)
    forget = slice(cells[0].hidden, 2 * cells[0].hidden)
    torch.testing.assert_close(weights["bias_ih"][1, forget] - weights["bias_ih"][0, forget], torch.full((32,), 2.0))
    assert torch.equal(weights["weight_hh"][0], weights["weight_hh"][1])


@pytest.mark.parametrize("name", KINDS)
def test_an_optimizer_whose_steps_are_proportional_to_its_rate_is_accepted(name: str) -> None:
    require_proportional(name, partial(KINDS[name], lr=1.0), partial(KINDS[name], lr=RATE))


@pytest.mark.parametrize(
    "make",
    [
        partial(torch.optim.Adam, weight_decay=0.1),
        partial(torch.optim.AdamW, weight_decay=0.1),
        partial(torch.optim.Adadelta, weight_decay=0.1),
    ],
)
def test_an_optimizer_that_looks_at_the_weights_is_refused(make: MakeOptimizer) -> None:
    with pytest.raises(UserError, match=r"^tune\.space\.optimizer\.name: the steps of it must be proportional"):
        require_proportional("it", partial(make, lr=1.0), partial(make, lr=RATE))
