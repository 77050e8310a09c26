"""A cell that is wrong ends with one sentence before anything trains."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import cells, search, train, tune
from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.cells.check import require_sound
from tests.base.commands import paths
from tests.cells.wrong_cells import WRONG, Right, TwoParts, made
from tests.conftest import Ended, run_stage


@pytest.mark.parametrize(("kind", "sentence"), WRONG, ids=[kind.__name__ for kind, _ in WRONG])
@pytest.mark.parametrize("hidden", [4, 100])
def test_a_wrong_cell_ends_with_a_sentence_that_names_what_is_wrong(
    kind: type[Cell], sentence: str, hidden: int
) -> None:
    with pytest.raises(UserError) as refused:
        require_sound(made(kind, hidden), 2, 10)
    if hidden == 4:
        assert re.match(f"cell {kind.__name__}: {sentence}", str(refused.value)), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("hidden", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_right_cell_of_any_size_passes(cell: Cell, hidden: int, channels: int) -> None:
    require_sound(replace(cell, hidden=hidden), channels, 10)


@pytest.mark.parametrize("kind", [Right, TwoParts])
def test_the_cells_from_which_wrong_ones_are_derived_are_right(kind: type[Cell]) -> None:
    require_sound(made(kind), 2, 10)


FIRST_LINE = "from tests.cells.wrong_cells import *\n"


def refusal(main: Callable[[], None], content: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """How a command ends with a cell whose file has this content."""
    (folder / "mine.py").write_text(content)
    monkeypatch.setattr(cells, "__path__", [*cells.__path__, str(folder)])
    try:
        return run_stage(main, ["cell._target_=pipeline.cells.mine.Mine", "~cell.gain", *paths(folder)])
    finally:
        sys.modules.pop("pipeline.cells.mine", None)
        vars(cells).pop("mine", None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "class Mine(Right:\n    pass",
            r"cell\._target_ can't be imported, SyntaxError: [^()]* \(.*mine\.py, line 1\)",
        ),
        ("exit()", r"cell\._target_ can't be imported, SystemExit: .*mine\.py, line 1\)"),
        ("undefined", r"cell\._target_ can't be imported, NameError: name 'undefined' is not .*mine\.py, line 1\)"),
        ("import nothing_of_this_name", r"cell\._target_ can't be found: No module named 'nothing_of_this_name'"),
        (
            f"{FIRST_LINE}class Mine(Right):\n    def __post_init__(self):\n        1 / 0",
            r"cell can't be built from pipeline\.cells\.mine\.Mine, ZeroDivisionError: .*mine\.py, line 4\)",
        ),
    ],
)
def test_a_file_that_is_wrong_ends_with_one_sentence(
    content: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = refusal(train.main, content, tmp_path, monkeypatch)
    assert (ended.status, ended.out) == (2, "")
    assert re.fullmatch(f"error: {sentence}.*\n", ended.err), ended.err


@pytest.mark.parametrize("main", [train.main, search.main, tune.main], ids=["train", "search", "tune"])
def test_a_cell_is_checked_before_anything_begins(
    main: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = f"{FIRST_LINE}class Mine(Right):\n    def forward(self, *all):\n        return None"
    ended = refusal(main, content, tmp_path, monkeypatch)
    sentence = "error: cell Mine: forward must return a tuple with the part h of the next state; got None\n"
    assert (ended.status, ended.out, ended.err) == (2, "", sentence)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["mine.py"]
