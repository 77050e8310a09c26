"""`make ui`: on this machine only, quiet, with addresses that open what was run."""

import os
import re
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline import tracking, ui
from pipeline.tracking.store import uri
from tests.base.commands import start
from tests.conftest import run_stage


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What was started instead of a server that would run for ever."""
    calls: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def instead(command: list[str], env: dict[str, str], **_: Any) -> SimpleNamespace:
        calls.append((command, env))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(ui, "subprocess", SimpleNamespace(Popen=instead))
    return calls


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ui.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_server_is_on_loopback_without_telemetry_or_job_workers(tmp_path: Path, started: list[Any]) -> None:
    port = free_port()
    with tracking.open_run(True, tmp_path, "adding", "rnn · search", {"horizon": "12 (10 to 14)"}) as run:
        pass
    ended = run_stage(ui.main, f"tracking.port={port} paths.state={tmp_path} paths.results={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    ((command, environment),) = started
    line = " ".join(command)
    assert f"--host 127.0.0.1 --port {port}" in line and "sqlite" not in line  # anybody on the machine can read it
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    address = f"http://127.0.0.1:{port}/#/experiments/{run.experiment}/runs/{run.id}"
    assert re.search(rf"^  rnn · search: 12 \(10 to 14\): {re.escape(address)}\?", ended.out, flags=re.MULTILINE)


def test_the_report_is_linked_to_the_runs(tmp_path: Path, started: list[Any]) -> None:
    (tmp_path / "report").mkdir()
    mark = '<a class="run" data-tag="digest.trials" data-value="{}">run</a>'
    (tmp_path / "report/index.html").write_text(mark.format("0123") + mark.format("4567"))
    with tracking.open_run(True, tmp_path, "adding", "rnn · search", {"digest.trials": "0123"}) as run:
        pass
    ended = run_stage(ui.main, f"tracking.port={free_port()} paths.state={tmp_path} paths.results={tmp_path}")
    linked = tmp_path / "report/linked.html"
    assert linked.as_uri() in ended.out
    assert linked.read_text().count("href=") == 1 and run.id in linked.read_text()
    assert "href" not in (tmp_path / "report/index.html").read_text()  # the report itself names no run
    (artifact,) = re.findall(r"artifact in MLflow: .*/runs/(\w+)/artifacts/linked.html", ended.out)
    client = MlflowClient(uri(tmp_path))
    assert Path(client.download_artifacts(artifact, "linked.html")).read_text() == linked.read_text()
    again = run_stage(ui.main, f"tracking.port={free_port()} paths.state={tmp_path} paths.results={tmp_path}")
    assert artifact in again.out  # the same page is logged once


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path, started: list[Any]) -> None:
    with socket.socket() as taken:
        taken.bind((ui.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = ui.free_port(port)
        ended = run_stage(ui.main, f"tracking.port={port} paths.state={tmp_path}")
    assert (ended.status, ended.err) == (2, f"error: tracking.port must be a free port, as {free} is; got {port}\n")
    assert started == []


def test_a_file_that_is_no_database_of_runs_is_a_sentence(tmp_path: Path, started: list[Any]) -> None:
    (tmp_path / "mlflow.db").write_text("not a database")
    ended = run_stage(ui.main, f"tracking.port={free_port()} paths.state={tmp_path}")
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert ended.err.startswith(f"error: {tmp_path}/mlflow.db can't be read as a database of experiments")
    assert started == []


@pytest.mark.slow
@pytest.mark.service
def test_ctrl_c_ends_the_server_without_a_traceback(tmp_path: Path) -> None:
    port = free_port()
    process = start("ui", f"tracking.port={port}", f"paths.state={tmp_path}", f"paths.results={tmp_path}")
    try:
        until = time.monotonic() + 60
        while ui.is_free(port):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out.splitlines()[-1]) == (0, "stopped")
    assert "Traceback" not in err
    assert ui.is_free(port)
