"""The two published ways to fail, each as an experiment that ends with its tag."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import train
from pipeline.horizon.estimate import Estimate
from pipeline.records.horizon import signature_beyond
from pipeline.study.record import TrialRecord
from pipeline.tracking.store import uri
from tests.conftest import run_stage
from tests.records.made import trial

SMALL = "training.updates=60 training.threads=1 data.held_out=50 search.length_max=60"


@pytest.mark.parametrize("name", ["vanishing", "exploding"])
def test_an_experiment_ends_with_the_tag_of_its_name(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder: Path = tmp_path_factory.getbasetemp() / "signatures"  # one store for both
    paths = f"paths.data={folder}/data paths.results={folder}/{name} paths.state={folder}"
    ended = run_stage(train.main, f"task=temporal_order cell=rnn +experiment={name} {SMALL} {paths}")
    assert ended.status == 0, ended.err
    told = json.loads(next((folder / name).rglob("outcome.json")).read_text())
    assert told["signature"] == name
    assert [row["signature"] for row in told["replicas"]] == [name] * 4
    client = MlflowClient(uri(folder))
    (experiment,) = client.search_experiments(filter_string="name = 'temporal_order'")
    (stored,) = client.search_runs([experiment.experiment_id], f"tags.signature = '{name}'")
    wanted = {"gradient/signal_to_noise", "weight/spectral_radius", "unit/saturated", "gradient/nonfinite"}
    assert wanted <= stored.data.metrics.keys()


def result(length: int, signature: str | None) -> TrialRecord:
    return trial(0, length, 0, replicas=2, signature=signature)


@pytest.mark.parametrize(
    ("median", "lower", "expected"),
    [
        (40.0, 30.0, "vanishing"),  # what fails below the horizon does not count
        (None, 60.0, "vanishing"),
        (None, None, "exploding"),  # below the shortest length: all of them
        (None, 512.0, None),  # above the longest: nothing failed there
    ],
)
def test_the_signature_of_a_search_is_that_of_its_failing_trials_from_the_horizon_on(
    median: float | None, lower: float | None, expected: str | None
) -> None:
    found = [result(10, "exploding"), result(20, "exploding"), result(30, "exploding"), result(35, None)]
    found += [result(45, "neither"), result(64, "vanishing"), result(80, "vanishing"), result(90, None)]
    assert signature_beyond(found, Estimate(median, lower, None)) == expected
