"""DVC compares bytes, so a clone must have the same line ends whatever git is told to do with them."""

import subprocess
from pathlib import Path

from tests.base.commands import ROOT


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_clone_with_autocrlf_has_the_bytes_of_the_repository(tmp_path: Path) -> None:
    git(ROOT, "clone", "--quiet", "--depth=1", "--config=core.autocrlf=true", f"file://{ROOT}", str(tmp_path / "clone"))
    lines = git(tmp_path / "clone", "ls-files", "--eol").splitlines()
    assert lines
    assert [line for line in lines if "w/crlf" in line or "w/mixed" in line] == []
    config = (tmp_path / "clone/conf/config.yaml").read_bytes()
    assert config == git(ROOT, "show", "HEAD:conf/config.yaml").encode()
