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


def test_the_papers_are_told_so_too(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    ended = run_stage(papers.main, f"paths.results={tmp_path}")
    assert ended == Ended(2, "", f"error: {tmp_path}/report can't be written: File exists\n")
