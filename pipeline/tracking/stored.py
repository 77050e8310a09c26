"""Runs that MLflow stores."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModel, LoggedModelStatus, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from pipeline.base.errors import UserError, first_line
from pipeline.base.redaction import redacted
from pipeline.base.trees import flatten
from pipeline.tracking import model, store
from pipeline.tracking.links import link
from pipeline.tracking.outbox import Outbox, RefusedError, counted
from pipeline.tracking.run import Scores, Shapes
from pipeline.tracking.store import OWNER

BATCH = 1000  # metrics, what the server takes in one call
PARAMS = 100  # the same for params
NOT_STORED = (".safetensors",)  # weights are stored once, with the model that they belong to
PATIENCE = 120.0  # seconds that a command waits, for all of its runs together, at their end for a server that is away
REFUSING = (400, 401, 403, 404, 405, 409, 413, 422)  # HTTP statuses of what a server will never take
LOST = "undelivered"  # tag: what the server did not take
TRIAL = "trial"  # tag: the number of a trial in its study; value of the tag `level`
CHOICE = "choice"  # value of the tag `level`: settings that a re-tuning chose
RESUMED_BY = "resumed.by"  # tag: the run that has the trials by now
RUNNING, FINISHED = "RUNNING", "FINISHED"  # statuses
MOST = 10_000  # runs that are looked through

_waited: list[float] = []  # seconds, so far

Connect = Callable[[], tuple[MlflowClient, str]]  # the client, and the identifier of the experiment


class NoRunsError(UserError):
    """The store refuses every run, so there is nothing that could be shown or closed."""


class StoredRun:
    """One run. What it is told goes through the outbox: it may be called at any rate, and whether or not a server
    answers. A run is made with its first delivery; until then `id` is empty.
    """

    def __init__(
        self,
        connect: Connect,
        outbox: Outbox,
        name: str,
        tags: Mapping[str, str],
        parent: "StoredRun | None" = None,
        began: float | None = None,
    ) -> None:
        self.id = self.experiment = ""
        self.name, self.outbox, self._connect, self._parent = name, outbox, connect, parent
        self._tags, self._began = {OWNER: store.owner(), **tags}, int((began or time.time()) * 1000)
        self._waiting: list[Metric] = []
        self._tried = self._kept = False
        self._earlier: dict[str, str] = {}  # runs of trials that earlier runs of the study logged whole, by trial
        self._put(self._make, "runs")

    def begin(self, strict: bool = False) -> "StoredRun":
        """Make the run now, if the server answers; `strict` raises `NoRunsError` where it answers that it will not."""
        try:
            self.outbox.send(strict=strict)
        except RefusedError as error:
            reason = redacted(str(error)).partition(". ")[0]  # a sentence of the several that MLflow says
            raise NoRunsError(f"MLflow takes no runs: {reason}; tracking.enabled=false does without") from error
        return self

    def params(self, settings: Mapping[str, Any]) -> None:
        flat = [Param(name, str(value)) for name, value in sorted(flatten(settings).items())]
        for start in range(0, len(flat), PARAMS):
            self._batch("params", flat[start : start + PARAMS])
        self.outbox.send()

    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None:
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in figures.items()]
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        for start in range(0, len(self._waiting), BATCH):
            self._batch("metrics", self._waiting[start : start + BATCH])
        self._waiting = []
        self.outbox.send()

    def tags(self, tags: Mapping[str, str]) -> None:
        self._batch("tags", [RunTag(name, value) for name, value in tags.items()])
        self.outbox.send()

    def note(self, markdown: str) -> None:
        self.tags({"mlflow.note.content": markdown})

    def dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        dataset = Dataset(name, digest, source_type="dvc", source=source, profile=profile)
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "held-out")])]
        self._put(lambda: self.client.log_inputs(self.id, inputs), "data sets")
        self.outbox.send()

    def artifacts(self, folder: Path) -> None:
        for path in sorted(path for path in folder.rglob("*") if path.suffix not in NOT_STORED and path.is_file()):
            inside = path.parent.relative_to(folder)
            self._put(partial(self._store, path.name, path.read_bytes(), inside), "files")

    def file(self, path: Path) -> None:
        self._put(partial(self._store, path.name, path.read_bytes(), Path()), "files")

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        made: list[LoggedModel] = []

        def create() -> None:
            tags, params = {model.EXTERNAL: "true"}, dict(about)
            made.append(self.client.create_logged_model(self.experiment, name, self.id, tags, params))

        def upload() -> None:
            with tempfile.TemporaryDirectory() as place:
                model.describe(_the_one(made), shapes, Path(place))
                for file, content in files.items():
                    (Path(place) / file).write_bytes(content)
                self.client.log_model_artifacts(_the_one(made).model_id, place)
            self.client.finalize_logged_model(_the_one(made).model_id, LoggedModelStatus.READY)

        def score(metric: str, step: int, value: float, now: int) -> None:
            identifier = _the_one(made).model_id
            self.client.log_metric(self.id, metric, value, timestamp=now, step=step, model_id=identifier)

        self._put(create, "models")
        self._put(upload, "files of models", len(files))
        for metric, (step, value) in scores.items():
            self._put(partial(score, metric, step, value, int(time.time() * 1000)), "metrics")
        self.outbox.send()

    def link(self, address: str) -> str:
        return link(address, self.experiment, self.id) if self.id else ""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> "StoredRun":
        return StoredRun(self._connect, self.outbox, name, tags, self, began).begin()

    def take_over(self, study: str) -> None:
        self._put(partial(self._find_earlier, study), "runs")

    def beside(self, tag: str, value: str, tags: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        def add() -> None:
            found = self.client.search_runs([self.experiment], f"tags.`{tag}` = '{value}'", max_results=1)  # newest
            for other in found:
                for name, text in tags.items():
                    self.client.set_tag(other.info.run_id, name, text)
                for name, content in files.items():
                    self._store(name, content, Path(), other.info.run_id)

        self._put(add, "tags of another run")
        self.outbox.send()

    def close(self, status: str = "FINISHED") -> None:
        self.flush()
        now = int(time.time() * 1000)
        self._put(lambda: self.client.set_terminated(self.id, status, now), "ends of runs")
        self.outbox.send()

    @property
    def client(self) -> MlflowClient:
        """The client that tells the server of this run. Raises `RefusedError` where the server refused the run."""
        if not self.id:
            raise RefusedError(f"the run {self.name} was not made")
        return self._connect()[0]

    def _make(self) -> None:
        """Make the run, unless an earlier try did and its answer was lost."""
        client, self.experiment = self._connect()
        if self._parent and (known := self._parent._earlier.get(self._tags.get(TRIAL, "")) or self._chosen(client)):
            client.set_tag(known, MLFLOW_PARENT_RUN_ID, self._parent.id)
            self.id, self._kept = known, True
            return
        tags = self._tags | ({MLFLOW_PARENT_RUN_ID: self._parent.id} if self._parent else {})
        if self._tried:
            same = f"attributes.start_time = {self._began} and tags.{OWNER} = '{tags[OWNER]}'"
            found = [each for each in client.search_runs([self.experiment], same) if each.info.run_name == self.name]
            self.id = found[0].info.run_id if found else ""
        self._tried = True
        self.id = self.id or client.create_run(self.experiment, self._began, tags, self.name).info.run_id

    def _chosen(self, client: MlflowClient) -> str:
        """Return the run of this very choice of settings below a run that has ended, which this one's then succeeds."""
        if self._parent is None or self._tags.get("level") != CHOICE:
            return ""
        same = f"attributes.status = '{FINISHED}' and tags.level = '{CHOICE}' and tags.study = '{self._tags['study']}'"
        for found in client.search_runs([self.experiment], same, max_results=MOST):  # newest first
            above = found.data.tags.get(MLFLOW_PARENT_RUN_ID, "")
            ended = above and above != self._parent.id and client.get_run(above).info.status != RUNNING
            if ended and found.info.run_name == self.name:
                client.set_tag(above, RESUMED_BY, self._parent.id)
                return str(found.info.run_id)
        return ""

    def _find_earlier(self, study: str) -> None:
        """Find the trials of a study below runs that have ended, and delete those that were not logged whole."""
        of_study = f"tags.study = '{study}' and tags.level = '{TRIAL}'"
        client, parents = self.client, {}
        for found in client.search_runs([self.experiment], of_study, max_results=MOST):  # newest first
            above = found.data.tags.get(MLFLOW_PARENT_RUN_ID, "")
            if above and above not in parents:
                parents[above] = client.get_run(above).info.status
            if above == self.id or parents.get(above, RUNNING) == RUNNING:
                continue
            if found.info.status == FINISHED:
                self._earlier.setdefault(found.data.tags[TRIAL], found.info.run_id)
            else:
                client.delete_run(found.info.run_id)
        for above in parents.keys() - {self.id}:
            client.set_tag(above, RESUMED_BY, self.id)

    def _store(self, name: str, content: bytes, inside: Path, run: str = "") -> None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / name
            path.write_bytes(content)
            self.client.log_artifact(run or self.id, str(path), None if inside == Path() else str(inside))

    def _batch(self, kind: str, entries: list[Any]) -> None:
        batch: dict[str, Any] = {kind: entries}
        self._put(lambda: self.client.log_batch(self.id, **batch), kind, len(entries))

    def _put(self, call: Callable[[], Any], kind: str, count: int = 1) -> None:
        """Have a call made, unless the run proves to be one that was logged whole before."""
        self.outbox.put(partial(_deliver, lambda: None if self._kept else call()), kind, count)


def prepare(state: Path, experiment: str, name: str, tags: Mapping[str, str]) -> StoredRun:
    """Return a run that is made when it begins, in an experiment of the store."""
    return StoredRun(cache(partial(store.connect, state, experiment)), Outbox(warn), name, tags)


def finish(run: StoredRun, status: str, patience: float) -> None:
    """Close a run, and state what was not delivered within `patience` seconds."""
    run.flush()
    if lost := run.outbox.lost:
        run.tags({LOST: counted(lost)})
    run.close(status)
    began = time.monotonic()
    try:
        run.outbox.settle(max(0.0, patience - sum(_waited)))
    finally:  # also where the user does not want to wait
        _waited.append(time.monotonic() - began)
        if lost := run.outbox.lost:
            warn(f"not delivered of run {run.name}: {counted(lost)}; the files are not affected")


def warn(text: str) -> None:
    """Print a warning, without the user and password of any address."""
    print(f"warning: MLflow: {redacted(text)}", file=sys.stderr)


def _deliver(call: Callable[[], Any]) -> None:
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
    """Return the HTTP status that an error stands for, 0 for none."""
    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())  # type: ignore[no-untyped-call]
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _the_one(made: list[LoggedModel]) -> LoggedModel:
    if not made:
        raise RefusedError("the model was not made")
    return made[-1]
