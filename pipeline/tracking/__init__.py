"""Shows runs in MLflow; the only place that knows it. Files are the record: nothing is read back from here.

The store is $MLFLOW_TRACKING_URI, or mlflow.db in the project (in $DVC_ROOT where DVC runs a copy). Metrics are sent in
batches. If the server does not answer, training goes on, and what is logged waits in memory, in its order, until it
does; at its end a command waits for it a while. What was not delivered is stated then, and in a tag of the run.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # not four minutes of them: the outbox tries again
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # seconds, for a server that takes calls and says nothing
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
from sqlalchemy.exc import SQLAlchemyError

from pipeline.base import processes
from pipeline.base.errors import first_line
from pipeline.base.redaction import redacted, without_user
from pipeline.base.trees import flatten
from pipeline.tracking.outbox import Outbox, RefusedError, counted

logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback of what the outbox says

DATABASE = "mlflow.db"  # where no other store is named
BATCH = 1000  # metrics, what the server takes in one call
PARAMS = 100  # the same for params
LISTED = 20  # newest parent runs that `links` names in each experiment
ELSEWHERE = (".safetensors",)  # weights are stored once, with the model that they belong to
PATIENCE = 120.0  # seconds that a command waits, for all of its runs together, at their end for a server that is away
REFUSING = (400, 401, 403, 404, 405, 409, 413, 422)  # HTTP statuses of what a server will never take
LOST = "undelivered"  # tag: what the server did not take
OWNER = "owner"  # tag: the process that runs it, so that what a kill left RUNNING can be closed


_waited: list[float] = []  # seconds, so far

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]  # of "inputs" and "outputs": numpy's type, and sizes, -1: any
Scores = Mapping[str, tuple[int, float]]  # by name of the metric: its step and value
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the UI opens runs as evaluations of a chat model
EXTERNAL = "mlflow.model.isExternal"  # loaded by `pipeline.runs.weights`, not by MLflow


class Run:
    """One run. What it is told goes through the outbox: it may be called at any rate, and whether or not a server
    answers. A run is made with its first delivery; until then `id` is empty.
    """

    def __init__(
        self,
        client: Callable[[], tuple[MlflowClient, str]],
        outbox: Outbox,
        name: str,
        tags: Mapping[str, str],
        parent: "Run | None" = None,
        began: float | None = None,
    ) -> None:
        self.id = self.experiment = ""
        self.name, self.outbox, self._connect, self._parent = name, outbox, client, parent
        self._tags, self._began = {OWNER: _owner(), **tags}, int((began or time.time()) * 1000)
        self._waiting: list[Metric] = []
        self._tried = False
        self._put(self._make, "runs")

    def begin(self) -> "Run":
        """Make the run now, if the server answers."""
        self.outbox.send()
        return self

    def params(self, settings: Mapping[str, Any]) -> None:
        """Log resolved settings, nested ones as `training.length`."""
        flat = [Param(name, str(value)) for name, value in sorted(flatten(settings).items())]
        for start in range(0, len(flat), PARAMS):
            self._batch("params", flat[start : start + PARAMS])
        self.outbox.send()

    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None:
        """Log finite figures of one step: an update, or a length."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in figures.items()]
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the metrics that wait; those that can't be sent wait on."""
        for start in range(0, len(self._waiting), BATCH):
            self._batch("metrics", self._waiting[start : start + BATCH])
        self._waiting = []
        self.outbox.send()

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._batch("tags", [RunTag(name, value) for name, value in tags.items()])
        self.outbox.send()

    def note(self, markdown: str) -> None:
        """Describe the run in words."""
        self.tags({"mlflow.note.content": markdown})

    def dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        """Tie the run to its data; `source` is the DVC path."""
        dataset = Dataset(name, digest, source_type="dvc", source=source, profile=profile)
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "held-out")])]
        self._put(lambda: self.client.log_inputs(self.id, inputs), "data sets")
        self.outbox.send()

    def artifacts(self, folder: Path) -> None:
        """Store every file of a folder as it is now; they are sent later, so that results never wait for a server."""
        for path in sorted(path for path in folder.rglob("*") if path.suffix not in ELSEWHERE and path.is_file()):
            inside = path.parent.relative_to(folder)
            self._put(partial(self._store, path.name, path.read_bytes(), inside), "files")

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        """Store a trained model as an external one: its files, its signature and how it scored; see `Shapes`."""
        made: list[LoggedModel] = []
        files = {path.name: path.read_bytes() for path in folder.iterdir()}

        def create() -> None:
            made.append(
                self.client.create_logged_model(self.experiment, name, self.id, {EXTERNAL: "true"}, dict(about))
            )

        def upload() -> None:
            with tempfile.TemporaryDirectory() as place:
                _describe_model(_the(made), shapes, Path(place))
                for file, content in files.items():
                    (Path(place) / file).write_bytes(content)
                self.client.log_model_artifacts(_the(made).model_id, place)
            self.client.finalize_logged_model(_the(made).model_id, LoggedModelStatus.READY)

        def score(metric: str, step: int, value: float, now: int) -> None:
            identifier = _the(made).model_id
            self.client.log_metric(self.id, metric, value, timestamp=now, step=step, model_id=identifier)

        self._put(create, "models")
        self._put(upload, "files of models", len(files))
        for metric, (step, value) in scores.items():
            self._put(partial(score, metric, step, value, int(time.time() * 1000)), "metrics")
        self.outbox.send()

    def link(self, address: str) -> str:
        """Where the run opens in the UI that `make ui` starts at an address, or in that of the server; or ""."""
        return link(address, self.experiment, self.id) if self.id else ""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> "Run":
        """A nested run, begun now or at a time in seconds since 1970; the caller closes it."""
        return Run(self._connect, self.outbox, name, tags, self, began).begin()

    def close(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self.flush()
        now = int(time.time() * 1000)
        self._put(lambda: self.client.set_terminated(self.id, status, now), "ends of runs")
        self.outbox.send()

    @property
    def client(self) -> MlflowClient:
        """What speaks to the server about this run. Raises `RefusedError` where the server did not take the run."""
        if not self.id:
            raise RefusedError(f"the run {self.name} was not made")
        return self._connect()[0]

    def _make(self) -> None:
        """Make the run, unless an earlier try did and its answer was lost."""
        client, self.experiment = self._connect()
        tags = self._tags | ({MLFLOW_PARENT_RUN_ID: self._parent.id} if self._parent else {})
        if self._tried:
            same = f"attributes.start_time = {self._began} and tags.{OWNER} = '{tags[OWNER]}'"
            found = [each for each in client.search_runs([self.experiment], same) if each.info.run_name == self.name]
            self.id = found[0].info.run_id if found else ""
        self._tried = True
        self.id = self.id or client.create_run(self.experiment, self._began, tags, self.name).info.run_id

    def _store(self, name: str, content: bytes, inside: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / name
            path.write_bytes(content)
            self.client.log_artifact(self.id, str(path), None if inside == Path() else str(inside))

    def _batch(self, kind: str, entries: list[Any]) -> None:
        batch: dict[str, Any] = {kind: entries}
        self._put(lambda: self.client.log_batch(self.id, **batch), kind, len(entries))

    def _put(self, call: Callable[[], Any], kind: str, count: int = 1) -> None:
        self.outbox.put(partial(_told, call), kind, count)


class Silent(Run):
    """Takes everything and shows nothing: tracking.enabled=false."""

    def __init__(self) -> None:
        self.id, self.experiment, self.name, self._waiting = "", "", "", []
        self.outbox = Outbox(_warn)

    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None:
        """Nothing."""

    def artifacts(self, folder: Path) -> None:
        """Nothing."""

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        """Nothing."""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> Run:
        """Another silent run."""
        return self

    def _put(self, call: Callable[[], Any], kind: str, count: int = 1) -> None:
        """Nothing."""


@contextmanager
def run(enabled: bool, state: Path, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """A run that ends as it really ended: FINISHED, FAILED on an error, KILLED on SIGINT and SIGTERM."""
    opened: Run = Silent()
    if enabled:
        store = cache(partial(_store, state, experiment))
        opened = Run(store, Outbox(_warn), name, {"level": "parent", **tags, **_origin()})
    try:
        opened.begin()  # a kill while the run is being made ends it, too
        yield opened
    except (KeyboardInterrupt, SystemExit):
        _end(opened, "KILLED", patience=0.0)
        raise
    except BaseException:
        _end(opened, "FAILED", patience=0.0)
        raise
    _end(opened, "FINISHED", PATIENCE)


def _end(opened: Run, status: str, patience: float) -> None:
    """Close a run, and state what was not delivered."""
    opened.flush()
    if lost := opened.outbox.lost:
        opened.tags({LOST: counted(lost)})
    opened.close(status)
    began = time.monotonic()
    try:
        opened.outbox.settle(max(0.0, patience - sum(_waited)))
    finally:  # also where the user does not want to wait
        _waited.append(time.monotonic() - began)
        if lost := opened.outbox.lost:
            _warn(f"not delivered of run {opened.name}: {counted(lost)}; the files are not affected")


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
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / DATABASE}"


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


def _store(state: Path, experiment: str) -> tuple[MlflowClient, str]:
    """What speaks to the store, and the identifier of an experiment, made if it is not there."""
    (state / ".state").mkdir(parents=True, exist_ok=True)
    with FileLock(state / ".state" / "mlflow.lock"):  # processes that make a new database at once would break it
        _make_database(state)
        client = MlflowClient(uri(state))
        found = client.get_experiment_by_name(experiment)
        identifier = found.experiment_id if found else client.create_experiment(experiment, _artifacts(state), KIND)
        _close_abandoned(client, identifier)
    return client, identifier


def _make_database(state: Path) -> None:
    """Make the local database, if it is the store and not there, and move it to its place when it is whole.

    MLflow makes it in dozens of steps, and can never open one whose maker was killed between two of them.
    """
    if os.environ.get("MLFLOW_TRACKING_URI") or (state / DATABASE).exists():
        return
    with tempfile.TemporaryDirectory(prefix="mlflow-", dir=state / ".state") as place:
        MlflowClient(f"sqlite:///{place}/{DATABASE}")
        (Path(place) / DATABASE).replace(state / DATABASE)


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
    mine = f"attributes.status = 'RUNNING' and tags.{OWNER} LIKE '{processes.machine().partition('/')[0]}%'"
    for found in client.search_runs([experiment], mine):
        if _gone(found.data.tags[OWNER]):
            client.set_terminated(found.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _owner() -> str:
    me = processes.here()
    return f"{me['machine']}:{me['process']}:{me['started']}"


def _gone(tag: str) -> bool:
    """Whether the process of an `owner` tag has ended; not known of other machines, and of containers beside this."""
    machine, process, started = tag.rsplit(":", 2)
    host, _, boot = machine.partition("/")
    if machine == processes.machine():
        return not processes.runs(int(process), started)
    return host == processes.machine().partition("/")[0] and boot.partition("/")[0] != processes.boot()


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
    folder = Path(__file__).parents[2]
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _told(call: Callable[[], Any]) -> None:
    """Make a call to the server; raise `RefusedError` where making it again would not help."""
    try:
        call()
    except (MlflowException, OSError, SQLAlchemyError) as error:
        if _status(error) in REFUSING:
            raise RefusedError(first_line(error)) from error
        raise
    except RefusedError:
        raise
    except Exception as error:  # whatever a store of artifacts may raise: this is a window, the files are the record
        raise RefusedError(f"{type(error).__name__}: {first_line(error)}") from error


def _status(error: Exception) -> int:
    """The HTTP status that an error stands for."""
    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())  # type: ignore[no-untyped-call]
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _the(made: list[LoggedModel]) -> LoggedModel:
    if not made:
        raise RefusedError("the model was not made")
    return made[-1]


def _warn(text: str) -> None:
    print(f"warning: MLflow: {redacted(text)}", file=sys.stderr)
