"""What `make repro` says at its end."""

import subprocess
from pathlib import Path

import pytest

from pipeline.reports import ending

TABLE = """| task | cell | horizon T50 | more |
|---|---|---|---|
| adding | RNN | 8.7 (8.0 to 9.7) | 1 |
| copy | GRU | above 256 | 2 |

A legend.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    file = tmp_path / ending.TABLE
    file.parent.mkdir(parents=True)
    file.write_text(TABLE)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=test", "-c", "user.email=test@example"]
    subprocess.run(["git", "-C", str(folder), *names, *words], check=True, capture_output=True)


def test_the_rows_are_shown_with_their_horizons(project: Path) -> None:
    said = ending.lines(project)
    assert said[1:4] == ["task    cell  horizon T50", "adding  RNN   8.7 (8.0 to 9.7)", "copy    GRU   above 256"]
    assert said[-1].endswith("make ui") and any(ending.PAGE in line for line in said)


def test_it_says_whether_the_table_is_the_committed_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending.committed(project).startswith("not in git")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "table")
    assert ending.committed(project).startswith("the same table")
    (project / ending.TABLE).write_text(TABLE.replace("256", "512"))
    assert ending.committed(project).startswith("another table")
    monkeypatch.setenv("PATH", "")
    assert "git was not found" in ending.committed(project)
