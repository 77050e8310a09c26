"""A folder that takes no files is told before the work, in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import papers, retune, search, sweep, train, tune, ui
from tests.base.commands import paths
from tests.conftest import Ended, run_stage

MAINS = [search.main, train.main, tune.main, sweep.main]


def after(*_: object) -> None:
    """Stand for what must not begin."""
    raise AssertionError("the work began")


@pytest.mark.parametrize("main", [*MAINS, retune.main, ui.main], ids=lambda main: main.__module__)
def test_a_state_that_can_not_be_written_is_told_at_once(
    main: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("OPTUNA_STORAGE", raising=False)
    monkeypatch.setattr("pipeline.tracking.open_run", after)
    (tmp_path / "file").touch()
    first = run_stage(main, [*paths(tmp_path), f"paths.state={tmp_path}/file/state"])
    assert first == Ended(2, "", f"error: {tmp_path}/file/state can't be written: Not a directory\n")


@pytest.mark.parametrize("main", MAINS, ids=lambda main: main.__module__)
def test_results_that_can_not_be_written_are_told_before_training(
    main: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runs.prepared.prepare", after)
    (tmp_path / "file").touch()
    line = [*paths(tmp_path), "tracking.enabled=false", f"paths.results={tmp_path}/file"]
    ended = run_stage(main, line)
    name = main.__module__.rpartition(".")[2]
    stage = "search" if name == "sweep" else name
    assert (ended.status, ended.err) == (2, f"error: {tmp_path}/file/{stage} can't be written: Not a directory\n")


def test_chosen_settings_that_can_not_be_written_are_told_before_the_tuning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_stage(tune.main, [*paths(tmp_path), "tracking.enabled=false", f"paths.tuned={tmp_path}/file/tuned"])
    assert ended == Ended(2, "", f"error: {tmp_path}/file can't be written: File exists\n")


def test_data_in_whose_place_a_file_lies_are_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_stage(train.main, [*paths(tmp_path), "tracking.enabled=false", f"paths.data={tmp_path}/file"])
    assert (ended.status, ended.err) == (
        2,
        f"error: {tmp_path}/file can't be written: File exists; what was there is kept\n",
    )


@pytest.mark.parametrize("line", ["", "tracking.enabled=false"])
def test_a_state_that_no_folder_can_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("OPTUNA_STORAGE", raising=False)
    ended = run_stage(search.main, [*paths(tmp_path), "paths.state=/proc", *line.split()])
    assert (ended.status, ended.err) == (2, "error: /proc can't be written: No such file or directory\n")


def test_the_papers_are_told_so_too(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    ended = run_stage(papers.main, f"paths.results={tmp_path}")
    assert ended == Ended(2, "", f"error: {tmp_path}/report can't be written: File exists\n")
