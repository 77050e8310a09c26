"""The two published ways to fail, each as an experiment that ends with its tag."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import tracking, train
from tests.conftest import run_stage

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
    client = MlflowClient(tracking.uri(folder))
    (experiment,) = client.search_experiments(filter_string="name = 'temporal_order'")
    (stored,) = client.search_runs([experiment.experiment_id], f"tags.signature = '{name}'")
    wanted = {"gradient/signal_to_noise", "weight/spectral_radius", "unit/saturated", "gradient/nonfinite"}
    assert wanted <= stored.data.metrics.keys()
