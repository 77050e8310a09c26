"""The stage that trains: its files, its run in MLflow, and what a failure leaves."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run as Stored
from pyarrow import parquet
from safetensors.numpy import load_file

from pipeline import train
from pipeline.base.errors import UserError
from pipeline.data.held_out import draw
from pipeline.learning.model import Model
from pipeline.learning.recorder import columns
from pipeline.learning.replicas import TrainedReplicas, train_replicas
from pipeline.runs import weights
from pipeline.tracking.store import uri
from tests.base.readme import blocks
from tests.conftest import Ended, compose, run_stage

SIZES = (
    "task=temporal_order cell=lstm cell.hidden=6 training.length=12 training.updates=22 training.replicas=3 "
    "training.batch=8 training.probe_every=5 training.record_every=10 training.threads=1 "
    "data.held_out=30 search.length_max=20 search.tuned=false"
)
FILES = {
    "outcome.json",
    "model.json",
    "gradients.parquet",
    "weights.safetensors",
    "gradients.svg",
    "curves.csv",
    "curves.svg",
}


@dataclass(frozen=True)
class Workplace:
    """Folders of their own for data, results and stores."""

    folder: Path

    def run(self, more: str = "", flag: str = "") -> Ended:
        paths = f"paths.data={self.folder}/data paths.results={self.folder}/results paths.state={self.folder}"
        return run_stage(train.main, f"{flag} {SIZES} {paths} {more}")

    @property
    def results(self) -> Path:
        return self.folder / "results" / "train" / "temporal_order-lstm"

    def newest(self) -> Stored:
        """The run that was made last."""
        (experiment,) = self.client().search_experiments(filter_string="name = 'temporal_order'")
        return self.client().search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])[0]

    def client(self) -> MlflowClient:
        return MlflowClient(uri(self.folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace in which the stage has run once."""
    uri = os.environ.pop("MLFLOW_TRACKING_URI", None)
    place = Workplace(tmp_path_factory.mktemp("train"))
    ended = place.run()
    assert ended.status == 0, ended.err
    yield place
    if uri:
        os.environ["MLFLOW_TRACKING_URI"] = uri


@pytest.fixture(scope="module")
def expected() -> TrainedReplicas:
    """The same training by the library alone."""
    settings = compose(*SIZES.split())
    parts = settings.task, settings.cell, settings.optimizer, settings.training
    return train_replicas(*parts, 12, range(3), draw(settings.task, settings.data.seed, 12, 30))


def test_every_file_is_written(place: Workplace) -> None:
    assert contents(place.results).keys() == FILES
    assert [path.name for path in place.results.parent.iterdir()] == ["temporal_order-lstm"]
    assert (place.folder / "data" / "temporal_order" / "task.json").exists()  # prepared on the way


def test_the_outcome_is_that_of_each_replica(place: Workplace, expected: TrainedReplicas) -> None:
    told = json.loads((place.results / "outcome.json").read_text())
    assert told["replicas"] == [asdict(outcome) for outcome in expected.outcomes]
    assert told["compute"] == 12 * 22 * 3
    assert told["solved"] == sum(outcome.solved for outcome in expected.outcomes)
    settings = compose(*SIZES.split())
    known = {
        "task": "temporal_order",
        "cell": "lstm",
        "length": 12,
        "budget": 22,
        "goal": settings.task.goal,
        "chance": 0.75,
    }
    assert known.items() <= told.items()
    latest = expected.recorder.latest.values()
    for name in ("gradient/decay", "gradient/norm", "gradient/first_over_last"):
        assert told["gradient"][name] == pytest.approx(np.mean([figures[name] for figures in latest]), rel=1e-5)


def test_the_table_has_the_gradient_of_each_update_replica_and_step(
    place: Workplace, expected: TrainedReplicas
) -> None:
    table = parquet.read_table(place.results / "gradients.parquet").to_pydict()
    truth = columns(expected.recorder.through_time, [0, 1, 2])
    assert table.keys() == truth.keys() == {"update", "replica", "step", "gradient_norm", "log2_norm_h", "log2_norm_c"}
    for name, column in truth.items():
        np.testing.assert_array_equal(np.asarray(table[name], dtype=column.dtype), column)
    assert sorted(set(table["update"])) == [1, 10, 20]
    assert len(table["step"]) == 3 * 3 * 12
    assert np.isfinite(table["log2_norm_h"]).all()


def test_the_weights_are_the_best_of_each_replica(place: Workplace, expected: TrainedReplicas) -> None:
    weights = load_file(place.results / "weights.safetensors")
    truth = expected.layout.views(expected.weights)
    assert weights.keys() == truth.keys()
    for name, weight in truth.items():
        np.testing.assert_array_equal(weights[name], weight.numpy())


def test_the_figures_are_pictures(place: Workplace) -> None:
    for name in ("gradients.svg", "curves.svg"):
        assert ElementTree.parse(place.results / name).getroot().tag.endswith("svg")


def test_the_run_shows_the_gradient_and_the_score(place: Workplace, expected: TrainedReplicas) -> None:
    stored, client = place.newest(), place.client()
    assert stored.info.status == "FINISHED"
    for name in (
        "gradient/norm",
        "gradient/decay",
        "gradient/first_over_last",
        "gradient/vanished",
        "gradient/clipped",
    ):
        assert [metric.step for metric in client.get_metric_history(stored.info.run_id, name)] == [1, 10, 20]
    scores = client.get_metric_history(stored.info.run_id, "score/held_out")
    assert [metric.step for metric in scores] == [5, 10, 15, 20, 22]
    curves = {curve["update"]: curve for curve in expected.recorder.curves if "gradient/decay" in curve}
    for metric in client.get_metric_history(stored.info.run_id, "gradient/decay"):
        assert metric.value == pytest.approx(curves[metric.step]["gradient/decay"])


def test_the_run_says_from_what_it_comes(place: Workplace) -> None:
    stored = place.newest()
    assert stored.info.run_name == "lstm · T=12 · train"
    settings = {
        "training.length": "12",
        "cell.hidden": "6",
        "training.replicas": "3",
        "cell": "lstm",
        "optimizer": "adam",
    }
    assert settings.items() <= stored.data.params.items()
    assert not [name for name in stored.data.params if name.startswith("paths.") or "_target_" in name]
    (data,) = stored.inputs.dataset_inputs
    told = json.loads((place.folder / "data" / "temporal_order" / "task.json").read_text())
    assert data.dataset.digest == told["lengths"]["12"]
    note = stored.data.tags["mlflow.note.content"]
    assert "Does **lstm** learn **temporal_order** at length 12?" in note
    assert f"python -m pipeline.train {' '.join(SIZES.split())}" in note  # the very overrides, so the very run
    artifacts = place.client().list_artifacts(stored.info.run_id)
    assert {file.path for file in artifacts} == FILES - {"weights.safetensors"}


def test_the_weights_are_a_model_in_mlflow_that_reads_any_length(place: Workplace, expected: TrainedReplicas) -> None:
    stored, client = place.newest(), place.client()
    (model,) = client.search_logged_models([stored.info.experiment_id], f"source_run_id = '{stored.info.run_id}'")
    folder = place.folder / "mlartifacts" / "models" / model.model_id / "artifacts"
    loaded = weights.load(folder)
    task = compose(*SIZES.split()).task
    for length in (12, 57):
        batch = draw(task, 3, length, 5)
        answers = loaded(torch.from_numpy(batch.inputs).transpose(0, 1), replica=1)
        assert answers.shape == (5, task.answers, task.outputs)
        model_of_training = Model(loaded.model.cell, expected.layout, expected.weights[1:2], "stepwise", 1)
        truth = model_of_training(torch.from_numpy(batch.inputs).unsqueeze(0), task.answers)[0].transpose(0, 1)
        torch.testing.assert_close(answers, truth, rtol=1e-4, atol=1e-5)


def test_the_example_of_the_pages_reads_any_length(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    code = next(block for block in blocks("python") if "import load" in block)
    named = code.replace("results/train/temporal_order-gru", str(place.results))
    assert named != code
    exec(named, {})
    assert capsys.readouterr().out.count("[") == 5  # four answers of one step


def test_a_folder_without_a_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"settings": {"_target_": "os.system"}}')
    with pytest.raises(UserError, match="holds no trained model"):
        weights.load(tmp_path)


def test_the_same_settings_give_the_same_bytes(place: Workplace) -> None:
    first = contents(place.results)
    ended = place.run()
    assert (ended.status, ended.err) == (0, "")
    assert contents(place.results) == first
    assert place.run("tracking.enabled=false training.threads=2").status == 0
    assert contents(place.results) == first
    assert not any(str(place.folder).encode() in content for content in first.values())


@pytest.mark.parametrize("broken", ["pipeline.runs.train.train_replicas", "pipeline.figures.style.save"])
def test_a_failure_leaves_the_earlier_results(place: Workplace, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    before = contents(place.folder / "results")

    def fail(*_: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(RuntimeError, match="no space left"):
        place.run("training.seed=5")
    assert contents(place.folder / "results") == before
    assert place.newest().info.status == "FAILED"


def test_damaged_data_is_a_sentence(place: Workplace) -> None:
    path = place.folder / "data" / "temporal_order" / "held_out" / "00012.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    try:
        ended = place.run()
    finally:
        path.write_bytes(whole)
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith(f"error: {path} can't be read as held-out sequences")
    assert place.newest().info.status == "FAILED"


def test_replicas_that_all_diverge_are_an_outcome(place: Workplace) -> None:
    values = "optimizer=sgd optimizer.lr=1e30 training.clip=inf training.probe_every=22 tracking.enabled=false"
    ended = place.run(f"{values} task=adding cell=rnn task.goal=0.01 search.length_min=4")
    assert (ended.status, ended.err) == (0, "")
    folder = place.folder / "results" / "train" / "adding-rnn"
    told = json.loads((folder / "outcome.json").read_text())
    assert [row["diverged"] for row in told["replicas"]] == [True] * 3
    assert [row["best_score"] for row in told["replicas"]] == [None] * 3
    assert contents(folder).keys() == FILES


def test_the_jobs_of_a_multirun_have_folders_of_their_own(place: Workplace) -> None:
    before = contents(place.results)
    ended = place.run("training.length=12,14 training.updates=2 tracking.enabled=false", flag="-m")
    assert (ended.status, ended.err) == (0, "")
    root = place.folder / "results" / "multirun" / "train" / "temporal_order-lstm"
    found = sorted(path.parent for path in root.rglob("outcome.json"))
    assert [json.loads((folder / "outcome.json").read_text())["length"] for folder in found] == [12, 14]
    assert all(contents(folder).keys() == FILES for folder in found)
    assert contents(place.results) == before


def test_an_experiment_has_a_folder_of_its_own_and_leaves_the_data_of_its_task_alone(tmp_path: Path) -> None:
    sizes = "training.length=9 training.updates=2 training.replicas=2 data.held_out=30 tracking.enabled=false"
    places = " ".join(f"paths.{name}={tmp_path}/{name}" for name in ("data", "results", "state"))
    ended = run_stage(train.main, f"+experiment=bai_copy_lstm {sizes} {places}")
    assert (ended.status, ended.err) == (0, "")
    assert contents(tmp_path / "results" / "experiment" / "bai_copy_lstm" / "train").keys() == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
