"""Results are replaced as a whole, or not at all."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from pipeline.base.files import replaced, write_json


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with results of an earlier run."""
    folder = tmp_path / "results"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.txt", "stale.txt", "deep/b.txt", "deep/stale.txt", ".gitignore"):
        (folder / name).write_text(f"old {name}")
    return folder


def test_success_replaces_the_files_and_removes_those_that_are_stale(folder: Path) -> None:
    with replaced(folder) as fresh:
        assert list(fresh.iterdir()) == []
        (fresh / "deep").mkdir()
        (fresh / "a.txt").write_text("new a")
        (fresh / "deep" / "b.txt").write_text("new b")
        assert contents(folder)["a.txt"] == "old a.txt"  # until the block has ended
    assert contents(folder) == {"a.txt": "new a", "deep/b.txt": "new b", ".gitignore": "old .gitignore"}
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_files_that_are_not_ones_own_stay_where_that_is_asked(folder: Path) -> None:
    before = contents(folder)
    with replaced(folder, whole=False) as fresh:
        (fresh / "a.txt").write_text("new a")
    assert contents(folder) == before | {"a.txt": "new a"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_files(folder: Path, error: type[BaseException]) -> None:
    before = contents(folder)
    with pytest.raises(error), replaced(folder) as fresh:
        (fresh / "a.txt").write_text("half")
        raise error
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    with replaced(tmp_path / "one" / "two") as fresh:
        (fresh / "a.txt").write_text("new")
    assert contents(tmp_path) == {"one/two/a.txt": "new"}


def test_json_is_the_same_bytes_for_the_same_content_and_ends_with_a_line(tmp_path: Path) -> None:
    content = {"b": 1, "a": [1.5, None, "ξ"]}
    for name in ("one", "two"):
        write_json(tmp_path / name, content)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_text().endswith("}\n")
    assert json.loads((tmp_path / "one").read_text()) == content


def test_json_holds_no_number_that_other_programs_can_not_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "bad", {"a": float("nan")})


def test_what_a_killed_process_left_is_cleared_away(folder: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with replaced(folder) as fresh:
            (fresh / "half.txt").write_text("half")
            os.write(writing, b".")
            signal.pause()
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(list(folder.parent.iterdir())) == 3
    (folder.parent / ".results-early.lock").touch()  # of a process that was killed before it made its folder
    with replaced(folder) as mine:
        (mine / "a.txt").write_text("mine")
    assert contents(folder.parent) == {"results/a.txt": "mine", "results/.gitignore": "old .gitignore"}
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_what_a_living_process_writes_is_not_cleared_away(folder: Path) -> None:
    with replaced(folder) as mine:
        (mine / "a.txt").write_text("mine")
        with replaced(folder) as other:
            (other / "a.txt").write_text("other")
        assert (mine / "a.txt").read_text() == "mine"
    assert contents(folder)["a.txt"] == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_a_full_disk_names_the_folder(folder: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*/results'") as told, replaced(folder):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert told.value.filename == str(folder)
