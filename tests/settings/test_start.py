"""A command answers help, mistakes and the TAB key before it imports a large library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LARGE = ("torch", "mlflow", "optuna", "matplotlib", "pandas", "sklearn", "scipy", "pyarrow", "dvc", "rich")
ARRAYS = ("numpy", "jaxtyping", "beartype")  # no check of a section needs them
COMMANDS = "prepare train search sweep tune retune atlas explain pair report papers ui"
START = """
import importlib, json, sys
commands, lines = json.loads(sys.argv[1])
for name in commands:
    main = importlib.import_module(f"pipeline.{name}").main
    for line in lines:
        sys.argv = [f"pipeline.{name}", *line]
        try:
            main()
        except SystemExit as end:
            print(f"{name} {line}: {end.code}", file=sys.stderr)
print(json.dumps(sorted(sys.modules)))
"""
MISTAKES = [[word] for word in ("task=addin", "trainig.length=3", "+extra=3", "training.length=-3", "training.seed=x")]


def started(commands: str, *lines: list[str], **environment: str) -> tuple[set[str], str]:
    """Start commands with each of some lines, one after another in a process; return what it imported and printed."""
    words = json.dumps([commands.split(), lines])
    process = subprocess.run(
        [sys.executable, "-c", START, words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    *printed, modules = process.stdout.splitlines()
    return set(json.loads(modules)), "\n".join([*printed, process.stderr])


@pytest.mark.parametrize("command", COMMANDS.split())
def test_help_and_mistakes_are_answered_before_a_large_library_is_imported(command: str) -> None:
    modules, printed = started(command, ["--help"], *MISTAKES)
    assert printed.count("error: ") == printed.count("]: 2") == len(MISTAKES)
    assert not modules & {*LARGE, *ARRAYS}


def test_help_needs_no_hydra() -> None:
    modules, printed = started("search", ["--help"])
    assert "training.length=32" in printed
    assert "hydra" not in modules


def test_a_mistake_in_a_task_needs_no_torch() -> None:
    modules, printed = started("train", ["task.goal=0"], ["training.length=1", "task=temporal_order"])
    assert printed.count("]: 2") == 2
    assert not modules & set(LARGE)


def test_the_tab_key_is_answered_before_a_large_library_is_imported() -> None:
    words = "horizon-search training.l"
    modules, printed = started("search", ["-sc", "query=bash"], COMP_LINE=words, COMP_POINT=str(len(words)))
    assert "training.length=" in printed
    assert not modules & {*LARGE, *ARRAYS}


def test_prepare_imports_what_it_uses(tmp_path: Path) -> None:
    small = [f"paths.data={tmp_path}", "data.held_out=2", "search.length_max=9"]
    modules, printed = started("prepare", small)
    assert "2 sequences for each of" in printed and (tmp_path / "adding" / "task.json").exists()
    assert not modules & {"torch", "mlflow", "optuna", "matplotlib", "pandas", "sklearn", "scipy", "dvc"}


@pytest.mark.parametrize("room", ["page", "pairs", "papers"])
def test_reports_need_no_torch_and_no_optuna(room: str) -> None:
    line = f"import json, sys, pipeline.reports.{room}; print(json.dumps(sorted(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(json.loads(process.stdout)) & {"torch", "mlflow", "optuna", "dvc"}


@pytest.mark.parametrize("flags", [[], ["-X", "utf8=0"]])
def test_a_command_reads_and_writes_utf_8_in_any_locale(flags: list[str]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, *flags, "-m", "pipeline.prepare", "cell=größe"]
    done = subprocess.run(line, cwd=ROOT, env=os.environ | ascii_only, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: 'cell=größe' can't be read") == (flags == [])  # not against the user
