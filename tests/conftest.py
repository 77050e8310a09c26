"""What every test gets: one torch thread, and every part of conf/ through the `cell` and `task` fixtures."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from pipeline import settings
from pipeline.cells.cell import Cell
from pipeline.settings import CONF
from pipeline.tasks.task import Task
from tests.base import commands, draws, stores

ROOT = Path(__file__).parent.parent


draws.use()


def options(group: str) -> list[str]:
    """The names of a group's YAMLs."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


compose = cache(settings.compose)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Several threads make small tests five to ten times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def copied_stores() -> None:
    """Databases of MLflow are copies of the first one, where a test that was collected uses MLflow."""
    if "mlflow" in sys.modules:
        stores.use_copies()


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A training flushes denormal numbers in the whole process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session", params=options("cell"))
def cell(request: pytest.FixtureRequest) -> Cell:
    """Each cell of conf/cell, for sequences of 50 steps."""
    made: Cell = compose(f"cell={request.param}").cell
    return made.for_length(50)


@pytest.fixture(scope="session", params=options("task"))
def task(request: pytest.FixtureRequest) -> Task:
    """Each task of conf/task."""
    return compose(f"task={request.param}").task


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one task and two cells, in which `dvc repro` has run. Nobody changes its results."""
    folder = commands.small_project(tmp_path_factory.mktemp("project"))
    commands.dvc(folder, "repro")
    return folder


def run_stage(main: Callable[[], None], arguments: str | Sequence[str]) -> Ended:
    """Run a stage's `main` in this process, with a command line, or with the words of one."""
    handler, environment, line = signal.getsignal(signal.SIGTERM), dict(os.environ), sys.argv
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = [main.__module__, *(arguments.split() if isinstance(arguments, str) else arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.argv = line
        os.environ.clear()
        os.environ.update(environment)
        signal.signal(signal.SIGTERM, handler)
    return Ended(status, out.getvalue(), err.getvalue())
