"""Shows runs in MLflow; the only place that knows it. Files are the record: nothing is read back from here.

The store is $MLFLOW_TRACKING_URI, or mlflow.db in the project (in $DVC_ROOT where DVC runs a copy). Metrics are sent in
batches. If the server can't be reached, training goes on, and what could not be delivered is stated at the end.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # some 15 s, not four minutes, for each call that fails
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it would show a password; we print our own
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # else it tells of its tables

import numpy as np
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelStatus,
    Metric,
    Param,
    RunStatus,
    RunTag,
)
from mlflow.entities import Run as StoredRun
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipeline.redaction import redacted, without_user

BATCH = 1000  # metrics, what the server takes in one call
PARAMS = 100  # the same for params
LISTED = 20  # newest parent runs that `links` names in each experiment
ELSEWHERE = (".safetensors",)  # weights are stored once, with the model that they belong to
OWNER = "owner"  # tag: the process that runs it, so that what a kill left RUNNING can be closed


Shapes = Mapping[str, tuple[str, tuple[int, ...]]]  # of "inputs" and "outputs": numpy's type, and sizes, -1: any
Scores = Mapping[str, tuple[int, float]]  # by name of the metric: its step and value
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the UI opens runs as evaluations of a chat model
EXTERNAL = "mlflow.model.isExternal"  # loaded by `pipeline.trained`, not by MLflow


class Run:
    """One run. Every method but `close` may be called at any rate: what is slow is gathered and sent in batches."""

    def __init__(
        self, client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str], began: float | None = None
    ) -> None:
        self.client, self.experiment = client, experiment
        start = int(began * 1000) if began else None  # milliseconds; None: now
        made = client.create_run(experiment, start, {OWNER: _owner(), **tags}, name)
        self.id: str = made.info.run_id
        self._waiting: list[Metric] = []
        self._full = BATCH  # so many may wait before they are sent

    def params(self, settings: Mapping[str, Any]) -> None:
        """Log resolved settings, nested ones as `training.length`."""
        flat = [Param(name, str(value)) for name, value in sorted(flatten(settings).items())]
        for start in range(0, len(flat), PARAMS):
            self._send(params=flat[start : start + PARAMS])

    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None:
        """Log finite figures of one step: an update, or a length."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in figures.items()]
        if len(self._waiting) >= self._full:
            self.flush()
            self._full = len(self._waiting) + BATCH  # a server that is down is not asked again at each update

    def flush(self) -> None:
        """Send the metrics that wait; those that can't be sent wait on."""
        while self._waiting and self._send(metrics=self._waiting[:BATCH]):
            del self._waiting[:BATCH]

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._send(tags=[RunTag(name, value) for name, value in tags.items()])

    def note(self, markdown: str) -> None:
        """Describe the run in words."""
        self.tags({"mlflow.note.content": markdown})

    def dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        """Tie the run to its data; `source` is the DVC path."""
        dataset = Dataset(name, digest, source_type="dvc", source=source, profile=profile)
        with _reported():
            self.client.log_inputs(self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "held-out")])])

    def artifacts(self, folder: Path) -> None:
        """Store every file of a folder."""
        with _reported():
            for path in sorted(path for path in folder.rglob("*") if path.suffix not in ELSEWHERE and path.is_file()):
                inside = path.parent.relative_to(folder)
                self.client.log_artifact(self.id, str(path), None if inside == Path() else str(inside))

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        """Store a trained model as an external one: its files, its signature and how it scored; see `Shapes`."""
        with _reported():
            made = self.client.create_logged_model(self.experiment, name, self.id, {EXTERNAL: "true"}, dict(about))
            with tempfile.TemporaryDirectory() as place:
                _describe_model(made, shapes, Path(place))
                self.client.log_model_artifacts(made.model_id, place)
            self.client.log_model_artifacts(made.model_id, str(folder))
            self.client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
            for metric, (step, value) in scores.items():
                self.client.log_metric(self.id, metric, value, step=step, model_id=made.model_id)

    def link(self, address: str) -> str:
        """Where the run opens in the UI that `make ui` starts at an address, or in that of the server."""
        return link(address, self.experiment, self.id)

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> "Run":
        """A nested run, begun now or at a time in seconds since 1970; the caller closes it."""
        with _reported():
            return Run(self.client, self.experiment, name, {MLFLOW_PARENT_RUN_ID: self.id, **tags}, began)
        return Silent()

    def close(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self.flush()
        if self._waiting:
            _warn(f"{len(self._waiting)} metrics of run {self.id} were not delivered")
        with _reported():
            self.client.set_terminated(self.id, status)

    def _send(self, **batch: Any) -> bool:
        with _reported() as outcome:
            self.client.log_batch(self.id, **batch)
        return not outcome


class Silent(Run):
    """Takes everything and shows nothing: tracking.enabled=false."""

    def __init__(self) -> None:
        self.id, self._waiting, self._full = "", [], BATCH

    def _send(self, **batch: Any) -> bool:
        return True

    def dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        """Nothing."""

    def artifacts(self, folder: Path) -> None:
        """Nothing."""

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        """Nothing."""

    def link(self, address: str) -> str:
        """Nothing."""
        return ""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> Run:
        """Another silent run."""
        return self

    def close(self, status: str = "FINISHED") -> None:
        """Nothing."""


@contextmanager
def run(enabled: bool, state: Path, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """A run that ends as it really ended: FINISHED, FAILED on an error, KILLED on SIGINT and SIGTERM."""
    opened: Run = Silent()
    if enabled:
        with _reported():
            opened = _open(state, experiment, name, {**tags, **_origin()})
        if isinstance(opened, Silent):
            _warn("going on without it")
    try:
        yield opened
    except (KeyboardInterrupt, SystemExit):
        opened.close("KILLED")
        raise
    except BaseException:
        opened.close("FAILED")
        raise
    opened.close()


def server(address: str) -> str:
    """The address of the server that keeps the runs, or else the given one."""
    known = os.environ.get("MLFLOW_TRACKING_URI", "")
    return without_user(known.rstrip("/")) if known.startswith("http") else address


def link(address: str, experiment: str, run: str = "") -> str:
    """Where the UI shows an experiment's runs, or one of them; without the last part it would look for chats."""
    return f"{server(address)}/#/experiments/{experiment}/runs{run and '/'}{run}?workflowType=machine_learning"


def wrote(state: Path, address: str, tag: str) -> dict[str, str]:
    """The address of the newest run for each value of a tag, such as the digest of a file that it wrote."""
    client = MlflowClient(uri(state))
    known = [experiment.experiment_id for experiment in client.search_experiments()]
    found: dict[str, str] = {}
    for each in client.search_runs(known, f"tags.`{tag}` LIKE '%'", order_by=["attributes.start_time DESC"]):
        found.setdefault(each.data.tags[tag], link(address, each.info.experiment_id, each.info.run_id))
    return found


def uri(state: Path) -> str:
    """Where runs are kept."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / 'mlflow.db'}"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, `{"training.length": 20}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def links(state: Path, address: str) -> list[str]:
    """A line for each experiment and each of its newest parent runs, with the address that opens it in the UI."""
    client = MlflowClient(uri(state))
    lines = []
    for experiment in client.search_experiments(filter_string="name != 'Default'", order_by=["name ASC"]):
        lines.append(f"{experiment.name}: {link(address, experiment.experiment_id)}&compareRunsMode=CHART")
        found = client.search_runs([experiment.experiment_id], "tags.level = 'parent'", max_results=LISTED)
        lines += [f"  {_words(each)}: {link(address, each.info.experiment_id, each.info.run_id)}" for each in found]
    return lines


def _words(found: StoredRun) -> str:
    """A run's name and its answer."""
    answer = found.data.tags.get("horizon") or found.data.tags.get("solved") or found.info.status.lower()
    return f"{found.info.run_name}: {answer}"


def _open(state: Path, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
    state.mkdir(parents=True, exist_ok=True)
    (state / ".state").mkdir(exist_ok=True)
    with FileLock(state / ".state" / "mlflow.lock"):  # processes that make a new database at once would break it
        client = MlflowClient(uri(state))
        found = client.get_experiment_by_name(experiment)
        identifier = found.experiment_id if found else client.create_experiment(experiment, _artifacts(state), KIND)
        _close_abandoned(client, identifier)
    return Run(client, identifier, name, {"level": "parent", **tags})


def _describe_model(made: LoggedModel, shapes: Shapes, folder: Path) -> None:
    """Write MLflow's own description of an external model, with its signature."""
    from mlflow.models import ModelSignature  # imports take a second, and only models need them
    from mlflow.models.utils import get_external_mlflow_model_spec
    from mlflow.types import Schema, TensorSpec

    schemas = {name: Schema([TensorSpec(np.dtype(kind), sizes)]) for name, (kind, sizes) in shapes.items()}
    described = get_external_mlflow_model_spec(made)
    described.signature = ModelSignature(schemas["inputs"], schemas["outputs"])
    described.save(str(folder / "MLmodel"))


def _artifacts(state: Path) -> str | None:
    """Beside a local database; a server knows its own place."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else (state / "mlartifacts").as_uri()


def _close_abandoned(client: MlflowClient, experiment: str) -> None:
    """End as KILLED what a process of this machine, now gone, left RUNNING."""
    host = socket.gethostname()
    for found in client.search_runs([experiment], f"attributes.status = 'RUNNING' and tags.{OWNER} LIKE '{host}:%'"):
        if not _alive(found.data.tags[OWNER]):
            client.set_terminated(found.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _alive(owner: str) -> bool:
    _, process, started = owner.rsplit(":", 2)
    return _started(int(process)) == started


def _started(process: int) -> str:
    """When a process began, in the system's ticks: tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _origin() -> dict[str, str]:
    """From which code and by which DVC stage or experiment the run comes."""
    known = {"dvc.stage": "DVC_STAGE", "dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}
    origin = {tag: os.environ[variable] for tag, variable in known.items() if os.environ.get(variable)}
    commit = _git("rev-parse", "HEAD")
    if commit:
        changed = "yes" if _git("status", "--porcelain", "--untracked-files=no") else "no"
        origin |= {"mlflow.source.git.commit": commit, "git.changed": changed}
    return origin | {"mlflow.source.name": " ".join(["python -m", *sys.orig_argv[2:]]), "mlflow.source.type": "LOCAL"}


def code() -> str:
    """The commit of the code, in words for a reviewer."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "not in git"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "pipeline", "conf")
    return f"commit `{commit[:12]}`" + (
        ", with changes in `pipeline/` or `conf/` that are not in it" if changed else ""
    )


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@contextmanager
def _reported() -> Iterator[list[str]]:
    """Turn a failing server into one warning; the list is empty where nothing failed."""
    failed: list[str] = []
    try:
        yield failed
    except (MlflowException, OSError) as error:
        failed.append(str(error))
        _warn(str(error).strip().splitlines()[0])


def _warn(text: str) -> None:
    print(f"warning: MLflow: {redacted(text)}", file=sys.stderr)
