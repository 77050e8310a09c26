"""What MLflow holds after a run, however it ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.entities import Run as Stored
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from pipeline import tracking
from pipeline.base import processes
from pipeline.base.errors import UserError
from pipeline.base.trees import flatten
from pipeline.tracking import stored
from pipeline.tracking.links import link, links, writers
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.store import OWNER, uri
from pipeline.tracking.stored import StoredRun
from tests.conftest import ROOT

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests: to make a database takes seconds."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def client(state: Path) -> MlflowClient:
    return MlflowClient(uri(state))


def found(client: MlflowClient, name: str) -> Stored:
    """The newest run of a name."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"attributes.run_name = '{name}'", order_by=["attributes.start_time DESC"])
    return runs[0]


def subprocess_of(command: str, state: Path) -> subprocess.Popen[str]:
    """A command whose files and stores lie in a folder of the test."""
    paths = [f"paths.{name}={state / name}" for name in ("data", "results")]
    line = [sys.executable, "-m", *command.split(), *paths, f"paths.state={state}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (ValueError, "FAILED"),
        (UserError, "FAILED"),
        (KeyboardInterrupt, "KILLED"),
        (SystemExit, "KILLED"),
    ],
)
def test_a_run_ends_as_it_really_ended(
    state: Path, client: MlflowClient, error: type[BaseException] | None, status: str
) -> None:
    def work() -> None:
        with tracking.open_run(True, state, "statuses", f"ends {status}", {}) as run:
            run.metrics(1, {"before": 1.0})
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    stored = found(client, f"ends {status}")
    assert stored.info.status == status
    assert stored.info.end_time is not None
    assert stored.data.metrics == {"before": 1.0}  # what waited was sent


def test_everything_that_is_logged_arrives(
    state: Path, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train@adding-rnn")
    (tmp_path / "figure.svg").write_text("<svg/>")
    settings = {"training": {"length": 20, "clip": 1.0}, "cell": {"hidden": 32}, "limit": None}
    with tracking.open_run(True, state, "arrives", "parent", {"stage": "train"}) as run:
        run.params(settings | {f"p{index}": index for index in range(250)})
        run.dataset("adding", "0123456789abcdef", "data/adding", "10 sequences")
        run.note("**bold**")
        run.tags({"solved": "3/4"})
        run.artifacts(tmp_path)
        child = run.child("child", {"level": "trial"})
        child.metrics(3, {"gradient/decay": 0.9})
        child.close()
    stored, nested = found(client, "parent"), found(client, "child")
    expected = {"training.length": "20", "training.clip": "1.0", "cell.hidden": "32", "limit": "None", "p249": "249"}
    assert expected.items() <= stored.data.params.items()
    assert len(stored.data.params) == 254
    tags = {"stage": "train", "level": "parent", "solved": "3/4", "dvc.stage": "train@adding-rnn"}
    assert (tags | {"mlflow.note.content": "**bold**"}).items() <= stored.data.tags.items()
    (data,) = stored.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.dataset.source) == (
        "adding",
        "0123456789abcdef",
        "data/adding",
    )
    assert [file.path for file in client.list_artifacts(stored.info.run_id)] == ["figure.svg"]
    assert (state / "mlartifacts").is_dir()
    assert nested.data.tags["mlflow.parentRunId"] == stored.info.run_id
    assert nested.data.metrics == {"gradient/decay": 0.9}
    assert nested.info.status == "FINISHED"


def test_the_commit_of_the_code_is_a_tag(state: Path, client: MlflowClient) -> None:
    with tracking.open_run(True, state, "commit", "commit", {}):
        pass
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    tags = found(client, "commit").data.tags
    assert tags.get("mlflow.source.git.commit", "") == head
    assert ("git.changed" in tags) == bool(head)


def test_more_metrics_than_one_call_takes_arrive_in_their_order(state: Path, client: MlflowClient) -> None:
    values = np.random.default_rng(0).normal(size=(1300, 2))
    with tracking.open_run(True, state, "metrics", "many", {}) as run:
        for update, (loss, norm) in enumerate(values, start=1):
            run.metrics(update, {"loss/training": loss, "gradient/norm": norm})
    stored = found(client, "many").info.run_id
    for column, name in enumerate(["loss/training", "gradient/norm"]):
        history = sorted(client.get_metric_history(stored, name), key=lambda metric: metric.step)
        assert [metric.step for metric in history] == list(range(1, 1301))
        np.testing.assert_array_equal([metric.value for metric in history], values[:, column])


def test_runs_of_this_machine_that_a_kill_left_running_are_closed(state: Path, client: MlflowClient) -> None:
    me, host = processes.machine(), socket.gethostname()
    container = me.rpartition("/")[0] + "/pid:[1]"  # its process numbers mean nothing here
    owners = {"gone": f"{me}:999999999:5", "recycled": f"{me}:{os.getpid()}:1", "rebooted": f"{host}/boot/pid:[1]:1:1"}
    owners |= {"elsewhere": f"elsewhere/boot/pid:[1]:{os.getpid()}:1", "beside": f"{container}:1:1"}
    with tracking.open_run(True, state, "abandoned", "alive", {}) as run:
        for name, tag in owners.items():
            client.create_run(run.experiment, run_name=name, tags={OWNER: tag})
        with tracking.open_run(True, state, "abandoned", "next", {}):
            statuses = {name: found(client, name).info.status for name in ("alive", *owners)}
    killed, running = dict.fromkeys(["gone", "recycled", "rebooted"], "KILLED"), ["alive", "elsewhere", "beside"]
    assert statuses == killed | dict.fromkeys(running, "RUNNING")


def test_a_run_that_is_killed_while_it_is_being_made_ends_as_killed(
    state: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked = MlflowClient.create_run, []

    def killed(self: MlflowClient, *arguments: Any) -> Any:
        asked.append(make(self, *arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "create_run", killed)
    with pytest.raises(KeyboardInterrupt), tracking.open_run(True, state, "killed", "early", {}):
        pytest.fail("the run was made")
    assert len(asked) == 1
    assert running(client, "killed") == []
    assert found(client, "early").info.status == "KILLED"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_command_that_is_killed_ends_as_killed(
    state: Path, client: MlflowClient, number: signal.Signals, status: int
) -> None:
    """SIGTERM ends the run itself; after a SIGKILL the next command does."""
    sizes = "training.length=12 training.updates=1000000000 training.replicas=1 data.held_out=10 search.length_max=16"
    process = subprocess_of(f"pipeline.train task=temporal_order cell=rnn search.length_min=10 {sizes}", state)
    try:
        wait_for(lambda: bool(running(client, "temporal_order")), process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert "Traceback" not in err
    assert len(running(client, "temporal_order")) == (1 if number == signal.SIGKILL else 0), err
    with tracking.open_run(True, state, "temporal_order", "next", {}):
        pass
    assert running(client, "temporal_order") == []
    assert found(client, "rnn · T=12 · train").info.status == "KILLED"
    assert not (state / "results" / "train" / "temporal_order-rnn").exists()


def running(client: MlflowClient, experiment: str) -> list[Stored]:
    known = client.get_experiment_by_name(experiment)
    return list(client.search_runs([known.experiment_id], "attributes.status = 'RUNNING'")) if known else []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_processes_may_make_the_same_database_at_once(tmp_path: Path) -> None:
    opening = f"with tracking.open_run(True, Path({str(tmp_path)!r}), 'e', 'r', {{}}): pass"
    line = [sys.executable, "-c", f"from pathlib import Path; from pipeline import tracking\n{opening}"]
    processes = [subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=120)[1].count(b"Error") for process in processes] == [0, 0]
    client = MlflowClient(uri(tmp_path))
    (experiment,) = client.search_experiments(filter_string="name = 'e'")
    assert len(client.search_runs([experiment.experiment_id])) == 2


class Down(MlflowClient):  # type: ignore[misc]
    """A client whose server is down, or refuses one kind of call, and that keeps what was delivered."""

    def __init__(self) -> None:
        self.down, self.refused, self.calls, self.delivered = False, "", 0, list[object]()

    def search_runs(self, *_: object) -> list[Stored]:
        return []

    def create_run(self, _: str, start: int, tags: object, name: str) -> SimpleNamespace:
        self.answer("create_run", name)
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def log_batch(self, run: str, metrics: Sequence[Metric] = (), **others: Any) -> None:
        self.answer("log_batch", *((run, metric.value) for metric in metrics), *((run, name) for name in others))

    def set_terminated(self, run: str, status: str, end: int) -> None:
        self.answer("set_terminated", (run, status))

    def answer(self, call: str, *told: object) -> None:
        self.calls += 1
        if self.down:
            raise MlflowException("API request failed\nwith a long story")
        if call == self.refused:
            raise MlflowException("there is no such thing", RESOURCE_DOES_NOT_EXIST)
        self.delivered += told


@pytest.fixture
def down() -> Down:
    return Down()


@pytest.fixture
def parent(down: Down) -> StoredRun:
    return StoredRun(lambda: (down, "1"), Outbox(stored.warn), "parent", {}).begin()


def test_a_server_that_is_away_is_one_warning_and_is_not_asked_at_each_update(
    down: Down, parent: StoredRun, capsys: pytest.CaptureFixture[str]
) -> None:
    down.down, down.calls = True, 0
    for update in range(5000):
        parent.metrics(update, {"loss": float(update)})
    child = parent.child("child", {})
    child.tags({"a": "b"})
    child.close()
    assert down.calls == 1
    stored.finish(parent, "FINISHED", patience=0.0)
    waits, lost = capsys.readouterr().err.splitlines()
    assert waits == "warning: MLflow: API request failed; what is logged waits until the server answers"
    what = "5000 metrics, 1 runs, 1 tags, 2 ends of runs"
    assert lost == f"warning: MLflow: not delivered of run parent: {what}; the files are not affected"


def test_what_waited_is_delivered_once_and_in_its_order_when_the_server_is_back(
    down: Down, parent: StoredRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.tracking.outbox.PAUSE", 0.0)
    monkeypatch.setattr("pipeline.tracking.outbox.SHARE", 1e9)
    for update in range(2500):
        down.down = update < 1800
        parent.metrics(update, {"loss": float(update)})
    child = parent.child("child", {})
    child.metrics(1, {"loss": 0.5})
    child.close()
    stored.finish(parent, "FINISHED", patience=0.0)
    metrics: list[object] = [("parent", float(update)) for update in range(2500)]
    assert [told for told in down.delivered if told in metrics] == metrics
    others = [told for told in down.delivered if told not in metrics]
    assert others == ["parent", "child", ("child", 0.5), ("child", "FINISHED"), ("parent", "FINISHED")]
    assert capsys.readouterr().err.splitlines()[1:] == [
        "warning: MLflow: the server answers again, and what waited was delivered"
    ]


def test_a_command_waits_at_its_end_for_a_server_that_it_knows(
    down: Down, parent: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_waited", [])
    down.down = True
    parent.metrics(1, {"loss": 1.0})
    threading.Timer(0.5, setattr, (down, "down", False)).start()
    stored.finish(parent, "FINISHED", patience=60.0)
    assert down.delivered[-2:] == [("parent", 1.0), ("parent", "FINISHED")]


def test_many_runs_wait_no_longer_than_one(down: Down, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_waited", [])
    began = time.monotonic()
    for number in range(5):
        down.down = False
        run = StoredRun(lambda: (down, "1"), Outbox(stored.warn), f"run {number}", {}).begin()
        down.down = True
        stored.finish(run, "FINISHED", patience=1.0)
    assert 0.9 < sum(stored._waited) <= time.monotonic() - began < 4


def test_what_the_server_refuses_is_said_and_is_a_tag_and_holds_up_nothing(
    down: Down, parent: StoredRun, capsys: pytest.CaptureFixture[str]
) -> None:
    down.refused = "create_run"
    child = parent.child("child", {})
    child.metrics(1, {"loss": 1.0})
    child.close()
    stored.finish(parent, "FINISHED", patience=0.0)
    lines = capsys.readouterr().err.splitlines()
    lost = "1 runs, 1 metrics, 1 ends of runs"
    assert lines[0] == "warning: MLflow: there is no such thing; not taken: 1 runs"
    assert lines[-1] == f"warning: MLflow: not delivered of run parent: {lost}; the files are not affected"
    assert down.delivered == ["parent", ("parent", "tags"), ("parent", "FINISHED")]


def test_a_loss_is_a_tag_of_the_run(
    state: Path, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "figure.svg").write_text("<svg/>")

    def refuse(*_: object) -> None:
        raise ValueError("this store takes no pictures")

    with tracking.open_run(True, state, "losses", "loses", {}) as run, monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", refuse)
        run.artifacts(tmp_path)
        run.flush()
    losing = found(client, "loses")
    assert losing.data.tags[stored.LOST] == "1 files"
    assert losing.info.status == "FINISHED"


def test_a_run_whose_making_was_not_answered_is_made_once(
    state: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = MlflowClient.create_run, [MlflowException("the answer was lost")]

    def answer_lost(*arguments: Any) -> Any:
        made = create(*arguments)
        if failures:
            raise failures.pop()
        return made

    monkeypatch.setattr(MlflowClient, "create_run", answer_lost)
    monkeypatch.setattr("pipeline.tracking.outbox.PAUSE", 0.0)
    monkeypatch.setattr("pipeline.tracking.outbox.SHARE", 1e9)
    with tracking.open_run(True, state, "once", "once", {}) as run:
        run.metrics(1, {"loss": 1.0})
    (stored,) = client.search_runs([run.experiment])
    assert (stored.info.status, stored.data.metrics) == ("FINISHED", {"loss": 1.0})


def test_a_search_that_goes_on_has_each_trial_once(state: Path, client: MlflowClient) -> None:
    def search(trials: int, ends: type[BaseException] | None = None) -> str:
        with suppress(KeyboardInterrupt), tracking.open_run(True, state, "resumed", "search", {}) as run:
            assert isinstance(run, stored.StoredRun)
            run.take_over("study")
            for trial in range(trials):
                child = run.child(f"T={trial}", {"level": "trial", "study": "study", "trial": str(trial)})
                child.metrics(1, {"loss": float(trial)})
                if ends and trial == trials - 1:
                    raise ends
                child.close()
        return run.id

    ids = [search(2, KeyboardInterrupt), search(2, KeyboardInterrupt), search(3)]
    parents = [client.get_run(each) for each in ids]
    assert [each.info.status for each in parents] == ["KILLED", "KILLED", "FINISHED"]
    assert [each.data.tags.get(stored.RESUMED_BY) for each in parents] == [ids[1], ids[2], None]
    below = client.search_runs([parents[0].info.experiment_id], "tags.level = 'trial'")
    assert {each.data.tags["mlflow.parentRunId"] for each in below} == {ids[2]}
    assert sorted(each.data.tags["trial"] for each in below) == ["0", "1", "2"]
    assert all(len(client.get_metric_history(each.info.run_id, "loss")) == 1 for each in below)


def test_a_retuning_that_goes_on_has_each_choice_once(state: Path, client: MlflowClient) -> None:
    def retune(choices: int, ends: type[BaseException] | None = None) -> str:
        with suppress(KeyboardInterrupt), tracking.open_run(True, state, "retuned", "retune", {}) as run:
            assert isinstance(run, stored.StoredRun)
            for choice in range(choices):
                child = run.child(f"seed {choice}", {"level": "choice", "study": f"study-{choice}"})
                child.metrics(0, {"tune/cost": float(choice)})
                child.close()
            if ends:
                raise ends
        return run.id

    ids = [retune(1, KeyboardInterrupt), retune(2, KeyboardInterrupt), retune(2)]
    parents = [client.get_run(each) for each in ids]
    assert [each.data.tags.get(stored.RESUMED_BY) for each in parents] == [ids[1], ids[2], None]
    below = client.search_runs([parents[0].info.experiment_id], "tags.level = 'choice'")
    assert sorted((each.info.run_name, each.data.tags["mlflow.parentRunId"]) for each in below) == [
        ("seed 0", ids[2]),
        ("seed 1", ids[2]),
    ]
    assert all(len(client.get_metric_history(each.info.run_id, "tune/cost")) == 1 for each in below)


def test_a_server_that_never_answers_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figure.svg").write_text("<svg/>")
    began = time.monotonic()
    with tracking.open_run(True, tmp_path, "unreachable", "unreachable", {}) as run:
        run.metrics(1, {"loss": 1.0})
        run.flush()
        run.dataset("adding", "0", "data", "")
        run.artifacts(tmp_path / "figures")
        run.child("child", {}).close()
        assert run.link("http://127.0.0.1:5000") == ""
    assert time.monotonic() - began < stored.PATIENCE / 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("warning: MLflow: ") for line in lines] == [True, True]
    assert "1 data sets, 1 files" in lines[-1]


@pytest.mark.parametrize("address", ["file:./mlruns", "foo://ann:secret@x", "foo", "http:/x", "https://"])
def test_an_address_that_can_never_take_a_run_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(tmp_path)
    refused = r"^MLflow takes no runs: [^\n]*; tracking.enabled=false does without$"
    with pytest.raises(UserError, match=refused) as told, tracking.open_run(True, tmp_path, "never", "never", {}):
        pytest.fail("the work began")
    assert "secret" not in str(told.value) and len(str(told.value)) < 300
    assert [path.name for path in tmp_path.iterdir() if path.name != ".state"] == []
    assert capsys.readouterr().err == ""


def test_a_deleted_experiment_is_refused_before_the_work_with_the_way_back(state: Path, client: MlflowClient) -> None:
    with tracking.open_run(True, state, "deleted", "first", {}):
        pass
    known = client.get_experiment_by_name("deleted")
    assert known is not None
    client.delete_experiment(known.experiment_id)
    way = f"was deleted, and `mlflow experiments restore --experiment-id {known.experiment_id}` brings it back"
    with pytest.raises(UserError, match=way), tracking.open_run(True, state, "deleted", "second", {}):
        pytest.fail("the work began")
    client.restore_experiment(known.experiment_id)
    with tracking.open_run(True, state, "deleted", "third", {}):
        pass
    assert found(client, "third").info.status == "FINISHED"


def test_a_store_that_can_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / ".state").write_text("a file where a folder should be")
    refused = "MLflow takes no runs: .*/.state can't be written: "
    with pytest.raises(UserError, match=refused), tracking.open_run(True, tmp_path, "never", "never", {}):
        pytest.fail("the work began")


def test_switched_off_tracking_makes_nothing(tmp_path: Path) -> None:
    with tracking.open_run(False, tmp_path, "off", "off", {}) as run:
        for update in range(1500):
            run.metrics(update, {"loss": 1.0})
        run.params({"a": 1})
        run.note("nothing")
        run.child("child", {}).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tree", "flat"),
    [
        ({}, {}),
        ({"a": 1, "b": {"c": 2, "d": {"e": None}}}, {"a": 1, "b.c": 2, "b.d.e": None}),
        ({"a": [1, 2]}, {"a": [1, 2]}),
    ],
)
def test_nested_settings_become_one_level(tree: Mapping[str, object], flat: Mapping[str, object]) -> None:
    assert flatten(tree) == flat


def test_the_address_of_the_store_is_a_database_or_what_the_environment_says(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert uri(state) == f"sqlite:///{state}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    assert uri(state) == UNREACHABLE


def test_links_open_each_experiment_and_its_parent_runs(state: Path, client: MlflowClient) -> None:
    with tracking.open_run(True, state, "links", "linked", {}) as run:
        run.tags({"solved": "3/4"})
        run.child("unfolded", {"level": "trial"}).close()
    text = "\n".join(links(state, "http://127.0.0.1:5000"))
    base, training = f"http://127.0.0.1:5000/#/experiments/{run.experiment}/runs", "?workflowType=machine_learning"
    assert f"links: {base}{training}&viewStateShareKey=horizons" in text
    assert f"linked: 3/4: {base}/{run.id}{training}" in text
    assert "unfolded" not in text


def test_a_run_is_found_by_what_it_wrote_and_the_newest_wins(state: Path, client: MlflowClient) -> None:
    for name in ("older", "newer"):
        with tracking.open_run(True, state, "wrote", name, {"digest.trials": "0123"}) as run:
            address = run.link("http://127.0.0.1:5000")
        time.sleep(0.002)  # runs are ordered by milliseconds
    assert writers(state, "http://127.0.0.1:5000", "digest.trials") == {"0123": address}
    assert writers(state, "http://127.0.0.1:5000", "digest.nothing") == {}


def test_a_run_adds_to_the_newest_one_that_wrote_what_it_explains(state: Path, client: MlflowClient) -> None:
    searches = []
    for name in ("older search", "newer search"):
        with tracking.open_run(True, state, "explained", name, {"digest.trials": "0123"}) as run:
            searches.append(run.id)
        time.sleep(0.002)  # runs are ordered by milliseconds
    with tracking.open_run(True, state, "explained", "explains", {}) as run:
        run.beside("digest.trials", "0123", {"verdict": "vanishing"}, {"maps.svg": b"<svg/>"})
        run.beside("digest.trials", "4567", {"verdict": "none"}, {})  # of a search that is not there
    older, newer = (client.get_run(each) for each in searches)
    assert "verdict" not in older.data.tags and newer.data.tags["verdict"] == "vanishing"
    assert [file.path for file in client.list_artifacts(searches[1])] == ["maps.svg"]
    assert client.list_artifacts(run.id) == []


def test_links_lead_to_the_server_that_keeps_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link("http://127.0.0.1:5000", "7").startswith("http://127.0.0.1:5000/#/experiments/7/runs?")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:80/")
    assert link("http://127.0.0.1:5000", "7", "a").startswith("http://tracking.example:80/#/experiments/7/runs/a?")


def test_weights_are_stored_once_with_their_model(state: Path, client: MlflowClient, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "figure.svg"):
        (tmp_path / name).write_bytes(b"content")
    shapes = {"inputs": ("float32", (-1, -1, 2)), "outputs": ("float32", (-1, 1, 1))}
    with tracking.open_run(True, state, "models", "trained", {}) as run:
        run.artifacts(tmp_path)
        run.model("adding-rnn", tmp_path, shapes, {"hidden": "4"}, {"score/best": (20, 0.5)})
    assert [file.path for file in client.list_artifacts(run.id)] == ["figure.svg"]
    (model,) = client.search_logged_models([run.experiment])
    assert (model.name, str(model.status), model.params) == ("adding-rnn", "READY", {"hidden": "4"})
    assert [(metric.key, metric.value, metric.step) for metric in model.metrics] == [("score/best", 0.5, 20)]
    kept = state / "mlartifacts" / "models" / model.model_id / "artifacts"
    assert (kept / "weights.safetensors").read_bytes() == b"content"
    signature = yaml.safe_load((kept / "MLmodel").read_text())["signature"]
    assert json.loads(signature["inputs"])[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, -1, 2]}


@pytest.mark.slow
def test_a_database_whose_maker_was_killed_on_the_way_is_made_anew(tmp_path: Path) -> None:
    maker = "from pathlib import Path; from pipeline.tracking.store import connect; connect(Path({!r}), 'killed')"
    process = subprocess.Popen([sys.executable, "-c", maker.format(str(tmp_path))], cwd=ROOT)
    wait_for(lambda: any(path.stat().st_size for path in tmp_path.rglob("mlflow.db")), process)
    process.kill()
    process.wait()
    with tracking.open_run(True, tmp_path, "killed", "next", {}):
        pass
    assert found(MlflowClient(uri(tmp_path)), "next").info.status == "FINISHED"
