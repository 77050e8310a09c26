"""The store of the runs: $MLFLOW_TRACKING_URI, or a database in the project."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, RunStatus

from pipeline.base import processes
from pipeline.tracking import views
from pipeline.tracking.outbox import RefusedError
from pipeline.tracking.views import NOTE

logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback of what the outbox says

DATABASE = "mlflow.db"  # where no other store is named
OWNER = "owner"  # tag: the process that runs it, so that a run that a kill left RUNNING can be closed
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the UI opens runs as evaluations of a chat model


def uri(state: Path) -> str:
    """Return where runs are kept."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / DATABASE}"


def connect(state: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Return a client of the store and the identifier of an experiment, made if it is not there.

    Raises `RefusedError` where there can be no such store, or the experiment was deleted.
    """
    _require_address(uri(state))
    with _locked(state):  # processes that make a new database at once would break it
        _make_database(state)
        client = MlflowClient(uri(state))
        found = client.get_experiment_by_name(experiment)
        if found and found.lifecycle_stage == LifecycleStage.DELETED:
            restore = f"mlflow experiments restore --experiment-id {found.experiment_id}"
            raise RefusedError(f"the experiment {experiment} was deleted, and `{restore}` brings it back")
        identifier = found.experiment_id if found else client.create_experiment(experiment, _artifacts(state), KIND)
        if not found or NOTE not in found.tags:  # a user may have written another one
            for name, value in views.tags(experiment).items():
                client.set_experiment_tag(identifier, name, value)
        _close_abandoned(client, identifier)
    return client, identifier


def _require_address(address: str) -> None:
    """Raise `RefusedError` for an address that can name no store: MLflow makes a folder of it, or asks it on and on."""
    kind, server = urlsplit(address).scheme, urlsplit(address).netloc
    folder = kind in ("", "file") and not address.startswith("databricks")
    if folder or (kind in ("http", "https") and not server):
        raise RefusedError(f"MLFLOW_TRACKING_URI must be like http://HOST:5000 or sqlite:///FILE; got {address}")


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the lock of the store; raises `RefusedError` where nothing can be written there."""
    lock = FileLock(state / ".state" / "mlflow.lock")
    try:
        (state / ".state").mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise RefusedError(f"{error.filename} can't be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def owner() -> str:
    """Return the value of the tag `OWNER` for this process."""
    me = processes.here()
    return f"{me['machine']}:{me['process']}:{me['started']}"


def _make_database(state: Path) -> None:
    """Make the local database, if it is the store and not there, and move it to its place when it is whole.

    MLflow makes it in dozens of steps, and can never open one whose maker was killed between two of them.
    """
    if os.environ.get("MLFLOW_TRACKING_URI") or (state / DATABASE).exists():
        return
    with tempfile.TemporaryDirectory(prefix="mlflow-", dir=state / ".state") as place:
        MlflowClient(f"sqlite:///{place}/{DATABASE}")
        (Path(place) / DATABASE).replace(state / DATABASE)


def _artifacts(state: Path) -> str | None:
    """Return where files go: beside a local database; a server knows its own place."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else (state / "mlartifacts").as_uri()


def _close_abandoned(client: MlflowClient, experiment: str) -> None:
    """End as KILLED the runs that a process of this machine, now gone, left RUNNING."""
    mine = f"attributes.status = 'RUNNING' and tags.{OWNER} LIKE '{processes.machine().partition('/')[0]}%'"
    for found in client.search_runs([experiment], mine):
        if _gone(found.data.tags[OWNER]):
            client.set_terminated(found.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _gone(tag: str) -> bool:
    """Return True if the process of an `OWNER` tag has ended.

    False for processes of other machines, and of other containers on this one, of which nothing is known.
    """
    machine, process, started = tag.rsplit(":", 2)
    host, _, boot = machine.partition("/")
    if machine == processes.machine():
        return not processes.runs(int(process), started)
    return host == processes.machine().partition("/")[0] and boot.partition("/")[0] != processes.boot()
