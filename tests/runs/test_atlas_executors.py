"""An atlas is the same, byte for byte, wherever its trials run."""

from pathlib import Path

import pytest

from pipeline import atlas
from tests.base.commands import paths
from tests.conftest import run_stage
from tests.runs.small_atlas import small_atlas

THREE = (*small_atlas("rnn", "lru", "mingru"), "tracking.enabled=false")
pytestmark = [pytest.mark.slow, pytest.mark.service]


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the atlas; drawings too."""
    home = folder / "results/atlas"
    there = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(home)): path.read_bytes() for path in there}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("here")
    done = run_stage(atlas.main, [*THREE, *paths(folder)])
    assert done.status == 0, done.err
    return files(folder)


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_two_workers_find_the_same_bytes(here: dict[str, bytes], tmp_path: Path, executor: str) -> None:
    done = run_stage(atlas.main, [*THREE, *paths(tmp_path), f"executor={executor}", "executor.workers=2"])
    assert done.status == 0, done.err
    found = files(tmp_path)
    assert len(found) > 20 and found.keys() == here.keys()
    assert [name for name in found if found[name] != here[name]] == []
