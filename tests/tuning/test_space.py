"""Which settings may vary, and asking for the next ones."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.tuning.proposing import propose
from pipeline.tuning.space import Choices, Range, holds, rounded, space_of
from tests.conftest import compose, options
from tests.tuning.toy_tuning import PLAIN, question, sampler

LR = {"lr": {"low": 1e-4, "high": 0.1, "log": True}}


@pytest.mark.parametrize("cell", options("cell"))
def test_the_space_of_every_cell_holds_its_plain_settings_and_can_be_used(cell: str) -> None:
    from pipeline.runs.choosing import parse_space

    space, plain = parse_space(compose("task=copy", f"cell={cell}"))
    assert holds(space, plain)
    assert {"optimizer.name", "optimizer.lr", "training.clip", "cell.init"} <= set(space)


@pytest.mark.parametrize("cell", options("cell"))
def test_every_cell_has_an_entry_of_its_own(cell: str) -> None:
    if cell not in compose().tune.cells:
        pytest.skip(f"{cell} has no entry in conf/tune.yaml: what all cells have is tried, and nothing of its own")
    assert set(compose().tune.cells) <= set(options("cell"))


def test_of_the_initial_weights_of_every_cell_those_are_tried_that_the_cell_knows() -> None:
    common = {"optimizer": LR, "cell": {"init": ["orthogonal", "torch"]}}
    assert space_of(common, None, ("published", "torch"))["cell.init"] == Choices(("torch",))
    assert "cell.init" not in space_of(common, None, ("published",))
    assert space_of(common, {"init": ["published"]}, ("published",))["cell.init"] == Choices(("published",))


@pytest.mark.parametrize("cell", ["minlstm", "lru"])
def test_a_cell_without_an_entry_of_its_own_can_be_tuned(cell: str) -> None:
    from pipeline.runs.choosing import parse_space

    settings = compose("task=copy", f"cell={cell}")
    cells = {name: own for name, own in settings.tune.cells.items() if name != cell}
    space, _ = parse_space(replace(settings, tune=replace(settings.tune, cells=cells)))
    assert "optimizer.lr" in space and space.get("cell.init") in (None, Choices(("torch",)))


def test_a_cells_own_knob_is_one_line() -> None:
    space = space_of({"optimizer": LR}, {"gain": {"low": 0.5, "high": 2}})
    assert space == {"optimizer.lr": Range(1e-4, 0.1, True), "cell.gain": Range(0.5, 2.0)}
    assert space_of({"optimizer": LR, "cell": {"init": ["a", "b"]}}, None)["cell.init"] == Choices(("a", "b"))


@pytest.mark.parametrize(
    ("common", "own", "sentence"),
    [
        ({}, {}, r"^tune\.space\.optimizer must hold lr; got \[\]$"),
        ({"data": {"seed": [1, 2]}}, {}, r"^tune\.space can hold optimizer, training, cell; got 'data'$"),
        ({"training": {"batch": [1, 2]}}, {}, r"^tune\.space\.training can't vary this .* got 'batch'$"),
        ({}, {"hidden": [1, 2]}, r"^tune\.space\.cell can't vary this .* got 'hidden'$"),
        ({"optimizer": {"lr": 3}}, {}, r"^tune\.space\.optimizer\.lr must be a list of values, or low and high"),
        ({"optimizer": {"lr": {"low": 2, "high": 1}}}, {}, r"lr must have numbers with low below high"),
        (
            {"optimizer": {"lr": {"low": 0, "high": 1, "log": True}}},
            {},
            r"must have low above 0 on a logarithmic scale",
        ),
        ({"optimizer": {"lr": []}}, {}, r"lr must be a list of values"),
    ],
)
def test_a_space_that_can_not_be_used_is_a_sentence(common: Any, own: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        space_of(common, own)


def test_settings_have_few_digits() -> None:
    assert rounded({"a": 0.00123456, "b": 12345.6, "c": "x", "d": True, "e": 3}) == {
        "a": 0.00123,
        "b": 12300.0,
        "c": "x",
        "d": True,
        "e": 3,
    }


def test_proposals_follow_from_the_generation_and_what_it_may_see_alone() -> None:
    space = question().space
    first = propose(space, sampler(1), [], 5)
    assert propose(space, sampler(1), [], 5) == first != propose(space, sampler(2), [], 5)
    assert all(holds(space, each) for each in first)
    assert not holds(space, PLAIN | {"optimizer.lr": 1.0})
    assert not holds(space, PLAIN | {"cell.init": "sigmoid"})
