"""A real tuning, small: what it writes, that search goes by it, and that killing it changes nothing."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from mlflow import MlflowClient

from pipeline import search, tune
from pipeline.data import streams
from pipeline.settings.tuned import tuned
from tests.conftest import Ended, compose, run_stage
from tests.runs.small_tuning import PAIR, arguments


def outs(folder: Path) -> dict[str, bytes]:
    files = [*(folder / "results/tune" / PAIR).iterdir(), folder / "tuned" / f"{PAIR}.yaml"]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_tuning_writes_its_choice_with_where_it_comes_from(tuned_once: tuple[Path, Ended]) -> None:
    folder, done = tuned_once
    files = outs(folder)
    assert set(files) == {"tune.json", "trials.csv", "learning_rate.svg", f"{PAIR}.yaml"}
    told, written = json.loads(files["tune.json"]), yaml.safe_load(files[f"{PAIR}.yaml"])
    rows = list(csv.DictReader(files["trials.csv"].decode().splitlines()))
    assert len(rows) == told["settings"] == written["provenance"]["settings"] == 4 * told["generations"]
    assert written["optimizer"]["lr"] == told["chosen"]["optimizer.lr"]
    assert written["cell"] == {name: told["chosen"][f"cell.{name}"] for name in written["cell"]}
    assert "init" in written["cell"]
    assert set(written["provenance"]["importance"]) <= set(told["plain_settings"])
    assert told["cost"] == sum(int(row["cost"]) for row in rows) + sum(each["cost"] for each in told["order"])
    assert written["provenance"]["plain"]["trials"] == 3
    assert told["searches"] == pytest.approx(told["cost"] / told["plain"]["compute"], rel=0.01)
    assert told["searches"] <= 3.0 * max(1.0, 40 / (told["plain"]["median"] or 10))
    assert f"tuned/{PAIR}.yaml" in done.out


@pytest.mark.slow
def test_mlflow_holds_one_parent_with_a_run_for_each_settings(tuned_once: tuple[Path, Ended]) -> None:
    folder, _ = tuned_once
    client = MlflowClient(f"sqlite:///{folder / 'state' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("temporal_order")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    told = json.loads(outs(folder)["tune.json"])
    assert len(parents) == 1 and len(runs) == 1 + told["settings"]
    assert {found.info.status for found in runs} == {"FINISHED"}
    assert parents[0].data.metrics["tune/cost"] == told["cost"]
    assert "importance" in parents[0].data.tags["mlflow.note.content"].lower()
    rates = {float(found.data.params["optimizer.lr"]) for found in runs if found not in parents}
    assert told["plain_settings"]["optimizer.lr"] in rates


@pytest.mark.slow
def test_a_search_goes_by_the_choice_and_tells_so(tuned_once: tuple[Path, Ended], tmp_path: Path) -> None:
    """The study of the plain search that tuning made is the one that search.tuned=false goes on with."""
    folder, _ = tuned_once
    shutil.copytree(folder, tmp_path / "copy")
    line = [word for word in arguments(tmp_path / "copy").split() if not word.startswith("tune.")]
    plain = run_stage(search.main, " ".join([*line, "search.tuned=false", "tracking.enabled=false"]))
    assert ": 3 trials already finished" in plain.out, plain.err
    written = json.loads((tmp_path / "copy/results/search" / PAIR / "horizon.json").read_text())
    told = json.loads(outs(folder)["tune.json"])
    assert written["tuned"] is None
    assert written["t50"] == {name: told["plain"][name] for name in written["t50"]}
    done = run_stage(search.main, " ".join([*line, "tracking.enabled=false"]))
    assert done.status == 0, done.err
    written = json.loads((tmp_path / "copy/results/search" / PAIR / "horizon.json").read_text())
    assert written["tuned"]["lr"] == told["chosen"]["optimizer.lr"]
    assert written["tuned"]["plain"]["median"] == told["plain"]["median"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["generation 1", pytest.param("generation 2", marks=pytest.mark.long)])
def test_a_tuning_killed_in_the_middle_ends_with_the_same_bytes(
    tuned_once: tuple[Path, Ended], tmp_path: Path, moment: str
) -> None:
    said = tmp_path / "said.txt"
    child = os.fork()
    if child == 0:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
        import sys

        sys.stdout, sys.argv = os.fdopen(1, "w"), ["tune", *arguments(tmp_path).split()]
        tune.main()
        os._exit(0)
    while moment not in (said.read_text() if said.exists() else "") and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert not (tmp_path / "tuned").exists()
    done = run_stage(tune.main, arguments(tmp_path))
    assert done.status == 0, done.err
    assert outs(tmp_path) == outs(tuned_once[0])


def test_two_processes_do_not_tune_one_pair_at_once(tmp_path: Path) -> None:
    (tmp_path / "state/.state").mkdir(parents=True)
    with FileLock(tmp_path / "state/.state" / f"tune-{PAIR}.lock"):
        done = run_stage(tune.main, arguments(tmp_path, "tracking.enabled=false"))
    assert done.status == 2
    assert done.err.startswith(f"error: another process is tuning {PAIR}")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("tune.space.optimizer.name=[adam,nope]", "'nope', which is no file of conf/optimizer"),
        ("+tune.cells.lstm.gian=[1,2]", "tune.space: cell.gian is not a setting of lstm"),
        ("+tune.space.training.batch=[1,2]", "tune.space.training can't vary this from replica to replica"),
        ("tune.space.cell.init=[torch,nope]", "cell.init must be one of torch, orthogonal"),
        ("tune.space.optimizer.lr.low=1", "tune.space.optimizer.lr must have numbers with low below high"),
        ("+optimizer.weight_decay=0.1", "must be proportional to its learning rate, and independent of the weights"),
        ("tune.sampler._target_=os.system", "tune.sampler._target_ must begin with pipeline. or torch.optim."),
        ("+tune.sampler.colour=3", "tune.sampler.colour is not a setting"),
    ],
)
def test_a_space_or_sampler_that_can_not_be_used_is_a_sentence(tmp_path: Path, override: str, sentence: str) -> None:
    done = run_stage(tune.main, arguments(tmp_path, override, "tracking.enabled=false"))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ") and sentence in done.err and done.err.count("\n") == 1


def test_the_choice_is_made_on_sequences_and_weights_that_no_search_sees() -> None:
    """Same seed in the settings, and still other streams: by the replica's number, and by what a stream is for."""
    settings = compose("task=adding", "cell=rnn")
    found = tuned(settings)
    assert found.data.seed == settings.data.seed
    held_out = {streams.held_out(1, length).integers(2**62) for length in range(1, 513)}
    chosen = {streams.choice(1, length).integers(2**62) for length in range(1, 513)}
    assert not held_out & chosen
    searched = {streams.training(0, replica, 1).integers(2**62) for replica in range(500)}
    tried = {streams.training(0, streams.TUNING + replica, 1).integers(2**62) for replica in range(500)}
    assert not searched & tried
    weights = {streams.weights_seed(0, replica) for replica in range(500)}
    assert not weights & {streams.weights_seed(0, streams.TUNING + replica) for replica in range(500)}
