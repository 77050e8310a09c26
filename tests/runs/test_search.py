"""A real search, small: what it writes, and that killing it loses nothing."""

import csv
import json
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.records.gradients import with_profiles
from pipeline.records.horizon import read_horizon
from pipeline.records.trials import read_trials
from pipeline.runs.search import search
from pipeline.runs.studies import search_study
from pipeline.study.results import read_study
from tests.base.commands import ROOT, environment, paths, run, start
from tests.conftest import compose

SMALL = (
    "task=temporal_order",
    "cell=gru",
    "cell.hidden=12",
    "data.held_out=200",
    "optimizer.lr=0.01",
    "training.updates=120",
    "training.probe_every=20",
    "search.length_max=60",
    "search.replicas=2",
    "search.trials=5",
)
OUTS = ("horizon.json", "trials.csv", "gradients.parquet", "horizon.svg")


def outs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "results/search/temporal_order-gru" / name).read_bytes() for name in OUTS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run("search", *SMALL, *paths(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_a_search_writes_the_answer_and_every_trial(undisturbed: Path) -> None:
    horizon = json.loads(outs(undisturbed)["horizon.json"])
    rows = list(csv.DictReader(outs(undisturbed)["trials.csv"].decode().splitlines()))
    assert horizon["task"] == "temporal_order" and horizon["cell"] == "gru"
    assert horizon["trials"] == len(rows) <= 5
    assert horizon["compute"] == sum(float(row["cost"]) for row in rows)
    assert [int(row["ordinal"]) for row in rows] == list(range(len(rows)))
    for row in rows:
        updates = json.loads(row["updates"])
        assert int(row["solved"]) == sum(update is not None for update in updates)
        assert len(updates) == horizon["replicas"] == 2


@pytest.mark.slow
def test_the_files_of_a_search_say_what_it_returned(undisturbed: Path, tmp_path: Path) -> None:
    """It is drawn and logged from the answer that it has, not from the files; they must not differ."""
    shutil.copytree(undisturbed, tmp_path / "copy")
    found = search(compose(*SMALL, "tracking.enabled=false", *paths(tmp_path / "copy")))
    folder = tmp_path / "copy/results/search/temporal_order-gru"
    assert read_horizon(folder / "horizon.json") == found
    study = search_study(compose(*SMALL, *paths(tmp_path / "copy")))
    kept = [replace(trial, curves=()) for trial in read_study(study)]  # the curves are in the study alone
    assert with_profiles(folder / "gradients.parquet", read_trials(folder / "trials.csv")) == tuple(kept)


@pytest.mark.slow
def test_a_search_shows_a_parent_run_and_one_run_for_each_trial(undisturbed: Path) -> None:
    client = MlflowClient(f"sqlite:///{undisturbed / 'state' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("temporal_order")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    assert len(parents) == 1
    horizon = json.loads(outs(undisturbed)["horizon.json"])
    assert len(runs) == 1 + horizon["trials"]
    assert {found.info.status for found in runs} == {"FINISHED"}
    assert parents[0].data.params["training.updates"] == "120"
    assert parents[0].inputs.dataset_inputs[0].dataset.name == "temporal_order"
    assert all("gradient/decay" in found.data.metrics for found in runs if found not in parents)


@pytest.mark.slow
def test_the_same_search_again_trains_nothing_and_writes_the_same_bytes(undisturbed: Path) -> None:
    before = outs(undisturbed)
    done = run("search", *SMALL, *paths(undisturbed))
    assert done.returncode == 0, done.stderr
    assert "resumes study" in done.stdout
    assert "solved; horizon between" not in done.stdout
    assert outs(undisturbed) == before


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.0, pytest.param(0.4, marks=pytest.mark.long)])
def test_a_search_killed_in_the_middle_goes_on_and_ends_with_the_same_bytes(
    undisturbed: Path, tmp_path: Path, patience: float
) -> None:
    process = start("search", *SMALL, *paths(tmp_path))
    assert process.stdout is not None
    first = next(line for line in process.stdout if "solved; horizon between" in line)
    time.sleep(patience)
    process.kill()
    process.communicate()
    assert not (tmp_path / "results/search/temporal_order-gru/horizon.json").exists()
    done = run("search", *SMALL, *paths(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "resumes study" in done.stdout
    assert first.split(";")[0] not in done.stdout.split("resumes study")[0]
    assert outs(tmp_path) == outs(undisturbed)


@pytest.mark.long
def test_a_search_killed_at_a_hundred_random_points_ends_with_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    quiet = ("tracking.enabled=false", "training.threads=1")
    command = ["python", "-m", "tests.runs.killed_search", "100", *SMALL, *quiet, *paths(tmp_path / "SEARCH")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["killed"] == 100
    assert set(ended["statuses"]) == {0}, done.stderr
    for number in range(len(ended["statuses"])):
        assert outs(tmp_path / str(number)) == outs(undisturbed)
