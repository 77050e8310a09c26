"""Which code a run says that it comes from."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import tracking
from pipeline.tracking import origin

CHANGED = ", with changes in `pipeline/` or `conf/` that are not in it"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two files, committed."""
    for name in ("pipeline/code.py", "conf/config.yaml", "README.md", ".gitignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("*.log\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(origin, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without git."""
    origin.has_git.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("git") is None
    yield
    origin.has_git.cache_clear()


def head(project: Path) -> str:
    command = ["git", "-C", str(project), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_project_is_where_its_commands_and_settings_are() -> None:
    assert (origin.ROOT / "pipeline/search.py").exists() and (origin.ROOT / "conf/config.yaml").exists()


def test_a_clean_project_is_its_commit(project: Path) -> None:
    assert tracking.code() == f"commit `{head(project)[:12]}`"
    assert origin.tags()["git.changed"] == "no"
    assert origin.tags()["mlflow.source.git.commit"] == head(project)


@pytest.mark.parametrize("name", ["pipeline/code.py", "conf/config.yaml"])
def test_an_edit_of_the_code_or_the_settings_is_said(project: Path, name: str) -> None:
    (project / name).write_text("edited")
    assert tracking.code() == f"commit `{head(project)[:12]}`{CHANGED}"
    assert origin.tags()["git.changed"] == "yes"


def test_a_new_file_of_code_is_said_and_an_ignored_one_is_not(project: Path) -> None:
    (project / "pipeline/notes.log").write_text("ignored")
    assert CHANGED not in tracking.code()
    (project / "conf/cell.yaml").write_text("new")
    assert CHANGED in tracking.code()


def test_an_edit_of_what_decides_nothing_is_not_said(project: Path) -> None:
    (project / "README.md").unlink()  # as DVC takes away the outs of a stage
    assert CHANGED not in tracking.code()
    assert origin.tags()["git.changed"] == "no"


def test_another_version_of_a_library_is_a_tag(project: Path) -> None:
    (project / "constraints.txt").write_text("torch==0")
    assert CHANGED not in tracking.code()
    assert origin.tags()["git.changed"] == "yes"


def test_a_project_that_is_not_in_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "ROOT", tmp_path)
    assert tracking.code() == "not in git"
    assert not {"mlflow.source.git.commit", "git.changed"} & set(origin.tags())


def test_without_git_the_commit_is_unknown_and_said_once(no_git: None, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert tracking.code() == "commit unknown, for git was not found"
        assert "mlflow.source.git.commit" not in origin.tags()
    assert capsys.readouterr().err == "warning: commit unknown, for git was not found\n"
