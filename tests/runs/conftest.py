"""What the tests of the commands share: one real tuning, made once in a session."""

from pathlib import Path

import pytest

from pipeline import tune
from tests.conftest import Ended, run_stage
from tests.runs.small_tuning import arguments


@pytest.fixture(scope="session")
def tuned_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder in which a tuning has run, and how it ended. Who changes something, copies it."""
    folder = tmp_path_factory.mktemp("tuned")
    done = run_stage(tune.main, arguments(folder))
    assert done.status == 0, done.err
    return folder, done
