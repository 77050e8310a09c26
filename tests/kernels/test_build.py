"""The cache of compiled libraries: damage, other processes, and machines on which nothing can be built."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pipeline.kernels import build

SOURCE = (Path(__file__).with_name("golden") / "IRNN.h").read_text()

compiled = pytest.mark.skipif(not build.available(), reason="no compiler")


def _run(environment: dict[str, str], tmp_path: Path, kernel: str = "auto") -> "subprocess.CompletedProcess[str]":
    """A process that runs a cell twice under this environment."""
    code = f"""
import torch
from tests.kernels.oracle import by_kernel, draw, make_cell, make_weights
cell = make_cell("gru", 4)
for _ in range(2):
    by_kernel("{kernel}", cell, make_weights(cell, 2, 2), draw(2, 6, 3, 2), draw(2, 1, 3, 4))
print("ran")
"""
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    variables |= environment
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def _warnings(environment: dict[str, str], tmp_path: Path) -> str:
    """The warnings of such a process, which has to come to its end."""
    done = _run(environment, tmp_path)
    assert done.stdout == "ran\n", done.stderr
    return done.stderr


def test_without_a_compiler_there_is_one_warning_and_torch_does_the_work(tmp_path: Path) -> None:
    said = _warnings({"PATH": str(tmp_path), "CXX": ""}, tmp_path)
    assert said.count("UserWarning: the fused kernels cannot be built, torch takes their place: no C++ compiler") == 1
    assert _warnings({"CXX": "no-such-compiler"}, tmp_path).count("looked for no-such-compiler") == 1


def test_who_asks_for_the_fused_kernel_is_not_given_another(tmp_path: Path) -> None:
    done = _run({"CXX": "no-such-compiler"}, tmp_path, "fused")
    assert done.returncode == 1
    assert "UserError: training.kernel is fused, but nothing can be compiled here" in done.stderr


def test_a_compiler_that_fails_is_quoted_in_the_warning(tmp_path: Path) -> None:
    said = _warnings({"CXX": _compiler("echo it is monday >&2; exit 1", tmp_path)}, tmp_path)
    assert said.count("torch takes their place: it is monday") == 1
    assert not list(tmp_path.glob("horizon-pipeline/*"))


def test_a_cache_that_cannot_be_written_is_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "file")}
    compiler = _compiler("exit 1", tmp_path)
    assert "torch takes their place" in _warnings({**blocked, "CXX": compiler}, tmp_path)


def _compiler(script: str, tmp_path: Path) -> str:
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\n[ $1 = --version ] && exit 0\n{script}\n")
    compiler.chmod(0o755)
    return str(compiler)


def _copying_compiler(tmp_path: Path, before: str = "sleep .5") -> str:
    """A compiler that gives a copy of the library that is there already."""
    library = build.passes(SOURCE, torch.float32)
    assert library is not None
    return _compiler(f"{before}\nfor target; do :; done\ncat {library._name} > $target", tmp_path)


def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two folders for libraries, in this order of preference."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = build.cache_directories()
    return first, second


@compiled
@pytest.mark.parametrize("damage", ["text", "cut", "a bit", "empty"])
def test_a_damaged_library_is_built_again_and_never_loaded(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = _folders(tmp_path, monkeypatch)
    compiler = _copying_compiler(tmp_path)
    name = build._load(SOURCE, compiler)._name
    whole = Path(name).read_bytes()
    middle = len(whole) // 2
    bit = whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :]
    damaged = {"text": b"not a library", "cut": whole[:-1000], "a bit": bit, "empty": b""}[damage]
    other = folder.with_name("other")
    other.mkdir()
    target = other / "library.so"
    target.write_bytes(damaged)
    assert not build.sound(target)
    monkeypatch.setattr(build, "cache_directories", lambda: iter([other]))
    target.rename(other / Path(name).name)
    assert build._load(SOURCE, compiler).forward
    assert build.sound(other / Path(name).name)


@compiled
def test_several_processes_may_build_at_once(tmp_path: Path) -> None:
    code = "from pipeline.kernels.build import available; assert available()"
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": _copying_compiler(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", code]
    running = [subprocess.Popen(command, env=variables) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(list(tmp_path.glob("horizon-pipeline/*"))) == 1


@compiled
def test_what_a_killed_build_left_is_removed_once_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = _folders(tmp_path, monkeypatch)
    for name, age in (("old", 3 * build.TIMEOUT), ("new", 1)):
        left = folder / f"{build.UNFINISHED}{name}"
        left.mkdir(parents=True)
        (left / "cell.so").write_bytes(b"half")
        os.utime(left, (time.time() - age, time.time() - age))
    build._load(SOURCE, _copying_compiler(tmp_path, ""))
    assert [path.name for path in folder.glob(f"{build.UNFINISHED}*")] == [f"{build.UNFINISHED}new"]


@compiled
def test_a_full_disk_leads_to_the_other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _folders(tmp_path, monkeypatch)
    full = f'case "$PWD" in {first}/*) echo "cell.s: No space left on device" >&2; exit 1;; esac'
    assert build._load(SOURCE, _copying_compiler(tmp_path, full))._name.startswith(str(second))
    assert not list(first.iterdir())


@compiled
def test_a_folder_that_may_not_execute_leads_to_the_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _folders(tmp_path, monkeypatch)
    opening = build._open

    def refuse(target: Path) -> object:
        if target.parent == first:
            raise OSError("failed to map segment from shared object")
        return opening(target)

    monkeypatch.setattr(build, "_open", refuse)
    assert build._load(SOURCE, _copying_compiler(tmp_path, ""))._name.startswith(str(second))


@compiled
def test_without_a_home_the_libraries_lie_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (only,) = build.cache_directories()
    assert only.parent == tmp_path
    assert only.stat().st_mode & 0o777 == 0o700
    only.chmod(0o777)  # anybody could have put a library there
    assert list(build.cache_directories()) == []


def test_what_a_killed_build_left_is_removed_once_it_can_run_no_more(tmp_path: Path) -> None:
    old, young = tmp_path / f"{build.UNFINISHED}old", tmp_path / f"{build.UNFINISHED}young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "cell.so").touch()
    passed = time.time() - 2 * build.TIMEOUT - 60
    os.utime(old, (passed, passed))
    build._remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [young]
