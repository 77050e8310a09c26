"""A what-if never touches published results."""

from pathlib import Path

import pytest

from pipeline import settings, train
from pipeline.runs.weights import load
from pipeline.settings import Settings, composition, destination, schema
from pipeline.settings.destination import folder_of, what_if
from tests.conftest import run_stage

LINES = [  # overrides, stage, folder below results
    ("task=adding cell=rnn", "search", "search/adding-rnn"),
    ("task=copy cell=lstm training.updates=600", "search", "search/copy-lstm"),  # as conf/ says
    ("task=adding cell=rnn executor=processes executor.workers=2", "search", "search/adding-rnn"),
    ("task=adding cell=rnn training.threads=1 search.fresh=true", "search", "search/adding-rnn"),
    ("task=adding cell=rnn tracking.enabled=false tracking.port=5001 paths.state=/tmp/s", "train", "train/adding-rnn"),
    ("task=adding cell=rnn training.updates=100", "search", "try/search/adding-rnn/training.updates=100"),
    ("task=adding cell=rnn training.updates=100 executor=local", "train", "try/train/adding-rnn/training.updates=100"),
    ("task=adding cell=rnn optimizer=sgd cell.hidden=8", "train", "try/train/adding-rnn/cell.hidden=8,optimizer=sgd"),
    ("task=adding cell=rnn search.tuned=false", "train", "try/train/adding-rnn/search.tuned=false"),
    ("task=adding cell=rnn search.length_max=64", "train", "train/adding-rnn"),  # a training has none
    ("task=adding cell=rnn search.length_max=64", "search", "try/search/adding-rnn/search.length_max=64"),
    ("task=adding cell=rnn tune.seed=3", "search", "search/adding-rnn"),
    ("task=adding cell=rnn explain.failing=8", "explain", "try/explain/adding-rnn/explain.failing=8"),
    ("task=adding cell=rnn tune.seed=3", "tune", "try/tune/adding-rnn/tune.seed=3"),
    ("task=adding cell=rnn tune.fresh=true", "tune", "tune/adding-rnn"),
    ("task=adding cell=rnn retune.choices=5", "retune", "try/retune/adding-rnn/retune.choices=5"),
    ("task=adding cell=rnn training.updates=100 publish=true", "search", "search/adding-rnn"),
    ("+experiment=pascanu_sgd", "search", "experiment/pascanu_sgd/search"),
    ("+experiment=pascanu_sgd training.seed=1", "search", "try/search/pascanu_sgd/training.seed=1"),
    ("task=adding cell=rnn training.updates=100 paths.results=/tmp/mine", "search", "/tmp/mine/search/adding-rnn"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another root, so that nothing here is written to the project."""
    for module in (destination, schema):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("line", "stage", "folder"), LINES)
def test_only_what_conf_asks_goes_to_the_published_folder(line: str, stage: str, folder: str, tmp_path: Path) -> None:
    assert folder_of(settings.compose(*line.split()), stage) == tmp_path / "results" / folder


def job(line: str, folder: str) -> Settings:
    """Settings as a job of a multirun has them."""
    config, names = composition.composed(line.split())
    return composition.check(config, names, folder, line.split())


def test_a_multirun_goes_to_folders_of_its_own_and_an_experiments_publishes_what_it_varies(tmp_path: Path) -> None:
    results = tmp_path / "results"
    plain = job("task=adding cell=rnn training.updates=100", "training.updates=100")
    assert folder_of(plain, "train") == results / "multirun/train/adding-rnn/training.updates=100"
    knob = "+experiment=knobs_rnn cell.gain=1.25"
    assert folder_of(job(knob, "cell.gain=1.25"), "search") == results / "experiment/knobs_rnn/search/cell.gain=1.25"
    other = folder_of(job(f"{knob} training.updates=100", "cell.gain=1.25"), "search")
    assert other == results / "try/search/knobs_rnn/training.updates=100/cell.gain=1.25"


def test_settings_that_were_chosen_for_a_what_if_do_not_replace_conf_tuned(tmp_path: Path) -> None:
    asked = settings.compose("task=adding", "cell=rnn", "tune.seed=3", "paths.results=/tmp/mine")
    assert what_if(asked, "tune", "tuned") == ["tune.seed=3"]
    assert what_if(asked, "tune") == []


def test_a_what_if_says_where_it_goes_and_leaves_the_published_files_and_data(tmp_path: Path) -> None:
    published = tmp_path / "results/train/adding-rnn"
    published.mkdir(parents=True)
    (published / "outcome.json").write_text("published")
    small = "training.length=8 training.updates=4 training.replicas=1 data.held_out=20 training.threads=1"
    ended = run_stage(train.main, f"task=adding cell=rnn {small} tracking.enabled=false")
    assert ended.status == 0, ended.err
    name = "data.held_out=20,training.length=8,training.replicas=1,training.updates=4"
    assert ended.out.splitlines()[0] == (
        f"adding-rnn T=8: asks another question than results/train/adding-rnn ({name.replace(',', ', ')}), "
        f"so it writes results/try/train/adding-rnn/{name}; publish=true replaces the published answer"
    )
    assert (published / "outcome.json").read_text() == "published"
    assert not (tmp_path / "data").exists()
    assert load(tmp_path / "results/try/train/adding-rnn" / name).replicas == 1
