"""What `--help` says: the settings of what a command line names, no wider than the terminal."""

import shlex
from importlib import import_module
from typing import Any

import pytest
import yaml

from pipeline import pair, prepare, search, train, tune
from pipeline.base.deciding import NO_RESULT
from pipeline.base.trees import flatten
from pipeline.settings import CONF
from pipeline.settings.composition import composed_tree
from pipeline.settings.destination import NOT_OF
from pipeline.settings.help import NAMES, READS, WIDEST, help_text
from pipeline.settings.listing import Setting, chosen, settings_of
from pipeline.settings.schema import OWN, SECTIONS
from tests.conftest import Ended, options, run_stage

WIDTHS = (60, 80, 120)
LINES = (
    "",
    "cell=lem task=copy",
    "task=temporal_order cell=lstm optimizer=sgd executor=dask",
    "+experiment=chrono_copy",
)
OPEN_RANGE = "search.length_max"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", READS)
def test_no_line_is_wider_than_the_terminal(command: str, width: int) -> None:
    main = import_module(f"pipeline.{command}").main
    for line in LINES:
        text = help_text(main, line.split(), width)
        wide = [each for each in text.splitlines() if len(each) >= width]
        assert [each for each in wide if len(each.split()) > 1] == [], (line, wide)
        assert width < WIDEST or not wide


def test_a_wider_terminal_needs_fewer_lines() -> None:
    heights = [len(help_text(search.main, [], width).splitlines()) for width in WIDTHS]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == len(WIDTHS)


def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for width in (60, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        said.append(run_stage(train.main, "--help").out.rstrip("\n"))
    assert said == [help_text(train.main, [], 60), help_text(train.main, [], 100)]


@pytest.mark.parametrize("line", LINES)
def test_every_setting_is_listed_with_the_value_that_it_has(line: str) -> None:
    """Truth is Hydra: it composes the same settings from the line alone, and from the line with every listed word."""
    found = settings_of(chosen(line.split()))
    plain, listed = composed_tree(line.split()), composed_tree([*line.split(), *(override(each) for each in found)])
    assert flatten(listed) == flatten(plain)
    names = {each.name for each in found}
    assert {each for each in flatten(plain) if not covered(each, names)} == set()


def override(setting: Setting) -> str:
    """The word as a shell hands it over; a value that is a group of its own is replaced as a whole."""
    (word,) = shlex.split(setting.word)
    return word


def covered(name: str, names: set[str]) -> bool:
    """True for a setting that is listed, or a part of one that is; classes are not to be changed."""
    above = [name[:at] for at, letter in enumerate(name) if letter == "."]
    return "._" in name or name in names or not names.isdisjoint(above)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_the_settings_of_what_is_named(flag: str) -> None:
    said = run_stage(train.main, f"cell=lem task=copy {flag}")
    assert (said.status, said.err) == (0, "")
    words = said.out.split()
    assert {
        "cell=lem",
        "cell.dt=1.0",
        "task=copy",
        "task.message=2",
        "training.updates=600",
        "optimizer.lr=0.01",
    } <= set(words)
    assert "cell.forget_bias=0.0" not in words and "cell.forget_bias=0.0" in run_stage(train.main, "cell=lstm -h").out
    assert f"{' '.join(options('cell')[:3])}" in " ".join(words)
    assert "chosen as in +experiment=vanishing" in said.out


def test_comments_say_which_file_changed_a_value() -> None:
    by_name = {each.name: each for each in settings_of(chosen(["task=copy"]))}
    assert by_name["optimizer.lr"].comment.startswith("learning rate [task=copy: ")
    assert by_name["training.batch"].comment == "sequences per replica and update"


def test_an_option_that_does_not_exist_has_no_help() -> None:
    said = run_stage(train.main, "optimizer=adm --help")
    known = ", ".join(options("optimizer"))
    assert said == Ended(2, "", f"error: optimizer must be one of {known}; got 'adm'; did you mean adam?\n")


def test_only_what_a_command_reads_is_listed() -> None:
    sections = {kind.section for kind in (*SECTIONS, *OWN)}
    for main, absent in (
        (prepare.main, "training tracking cell"),
        (pair.main, "training search data"),
        (search.main, "tune sweep"),
    ):
        text = help_text(main, [], 80)
        assert [name for name in absent.split() if f"\n  {name}." in text] == []
    assert {each.partition(".")[0] for read in READS.values() for each in read} >= sections
    assert set(NAMES) <= set(READS) == {"prepare", *of_commands()}


def of_commands() -> set[str]:
    """The commands that `python -m pipeline` lists."""
    commands: dict[str, Any] = import_module("pipeline.__main__").commands()
    return set(commands)


@pytest.mark.parametrize("command", NOT_OF)
def test_what_decides_a_result_is_listed(command: str) -> None:
    content = yaml.safe_load((CONF / "config.yaml").read_text())
    deciding = {kind.section for kind in SECTIONS if kind.section in content} - {*NOT_OF[command], *NO_RESULT}
    assert deciding <= {each.partition(".")[0] for each in READS[command]}


def test_a_tuning_lists_what_it_tries_for_the_cell_that_is_named() -> None:
    text = help_text(tune.main, ["cell=gru"], 80)
    assert "tune.cells.gru.update_bias=" in text and "tune.cells.lstm" not in text
