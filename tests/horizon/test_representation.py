"""What a cell can't represent is said, and only that; the numbers behind it are computed here."""

import numpy as np
import pytest

from pipeline.cells.cell import KINDS, Cell
from pipeline.horizon.representation import LIMITS, cannot_represent
from pipeline.records.horizon import about_cell
from pipeline.settings.places import options
from tests.conftest import compose

COUNT = 20_000  # sequences


@pytest.mark.parametrize("length", [4, 10])
def test_no_affine_answer_adds(length: int) -> None:
    """The least squares over all affine functions of a sequence: what a linear layer with a readout can't beat."""
    task = compose("task=adding").task
    batch = task.sample(np.random.default_rng(0), length, COUNT)
    inputs = np.column_stack([batch.inputs.swapaxes(0, 1).reshape(COUNT, -1), np.ones(COUNT)])
    targets = batch.targets.reshape(-1)
    errors = targets - inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0]
    assert np.mean(errors**2) == pytest.approx((1 - 2 / length) / 6, rel=0.05)
    assert np.mean(errors**2) > 5 * task.goal


@pytest.mark.parametrize(("blanks", "apart"), [(10, 7), (100, 4), (1000, 3)])
def test_fading_exponentials_give_few_answers_that_float32_tells_apart(blanks: int, apart: int) -> None:
    """Of decays that keep a thousandth over the blanks; modes that turn instead of fading give all ten."""
    decays = 10 ** (-3 / blanks * np.linspace(0, 1, 128))
    fading = decays ** (blanks + np.arange(10)[:, None])
    turning = np.exp(2j * np.pi * np.arange(128) / 128) ** np.arange(10)[:, None]
    values = np.linalg.svd(fading, compute_uv=False)
    assert np.sum(values > values[0] * np.finfo(np.float32).eps) == apart
    assert np.linalg.cond(turning) == pytest.approx(1)


@pytest.mark.parametrize(
    ("overrides", "begins"),
    [
        (("cell=lru", "task=adding"), "cannot represent adding with 1 layer, because its answer is an affine function"),
        (("cell=lru", "task=multiplication"), "cannot represent multiplication with 1 layer, because"),
        (("cell=lru", "task=copy"), None),
        (("cell=lru", "task=temporal_order"), None),
        (("cell=indrnn", "task=adding"), None),
        (("cell=indrnn", "task=adding", "cell.layers=1"), "cannot represent adding with 1 layer, because no unit sees"),
        (("cell=s6", "task=copy"), None),  # two symbols
        (("cell=s6", "task=copy", "task.message=10"), "cannot represent copy with 1 layer, because all inputs are"),
        (("cell=mingru", "task=copy", "task.message=10"), None),  # three layers
        (("cell=lstm", "task=copy", "task.message=10"), None),
    ],
)
def test_a_pair_says_why_its_cell_cannot_represent_its_task(overrides: tuple[str, ...], begins: str | None) -> None:
    settings = compose(*overrides)
    found = about_cell(settings.cell, settings.names["task"], settings.task)["cannot_represent"]
    assert found is None if begins is None else found.startswith(begins)


def test_every_cell_says_what_it_is(cell: Cell) -> None:
    assert cell.kind in KINDS or type(cell).__name__ == "Module"


def test_limits_are_of_kinds_and_tasks_that_exist() -> None:
    assert {limit.kind for limit in LIMITS} <= KINDS.keys()
    assert {task for limit in LIMITS for task in limit.tasks} <= set(options("task"))
    assert cannot_represent("", 1, "adding") is None
