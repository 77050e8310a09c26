"""One run as a command sees it, shown in MLflow or not at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pipeline.tracking import origin

Shapes: TypeAlias = Mapping[str, tuple[str, tuple[int, ...]]]
"""What a model reads and answers, "inputs" and "outputs": the name of a numpy type, and sizes, -1 for any size."""

Scores: TypeAlias = Mapping[str, tuple[int, float]]
"""The step and value of each metric of a model, by its name."""


@runtime_checkable
class Run(Protocol):
    """Takes what is to be shown of a run, at any rate, and whether or not a server answers."""

    def params(self, settings: Mapping[str, Any]) -> None:
        """Log resolved settings, nested ones as `training.length`."""

    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None:
        """Log finite figures of one step: an update, or a length."""

    def flush(self) -> None:
        """Send the metrics that wait; those that can't be sent wait on."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""

    def note(self, markdown: str) -> None:
        """Describe the run in words."""

    def dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        """Tie the run to its data; `source` is the DVC path."""

    def artifacts(self, folder: Path) -> None:
        """Store every file of a folder as it is now; they are sent later, so that results never wait for a server."""

    def file(self, path: Path) -> None:
        """Store one file as it is now."""

    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None:
        """Store a trained model: its files, its signature and how it scored."""

    def link(self, address: str) -> str:
        """Return where the run opens in the UI at an address, or in that of the server; empty where it does not."""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> "Run":
        """Begin a nested run, now or at a time in seconds since 1970; the caller closes it."""

    def take_over(self, study: str) -> None:
        """Have the trials of a study that earlier runs logged, now ended, as nested runs of this one.

        A child with the tag `trial` of one of them is not logged again, but moved here.
        """

    def beside(self, tag: str, value: str, tags: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        """Set tags of, and store files with, the newest other run of the experiment that has a tag, if there is one."""

    def close(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED."""


class SilentRun:
    """Takes everything and shows nothing: tracking.enabled=false."""

    def params(self, settings: Mapping[str, Any]) -> None: ...
    def metrics(self, step: int, figures: Mapping[str, float | int]) -> None: ...
    def flush(self) -> None: ...
    def tags(self, tags: Mapping[str, str]) -> None: ...
    def note(self, markdown: str) -> None: ...
    def dataset(self, name: str, digest: str, source: str, profile: str) -> None: ...
    def artifacts(self, folder: Path) -> None: ...
    def file(self, path: Path) -> None: ...
    def model(self, name: str, folder: Path, shapes: Shapes, about: Mapping[str, str], scores: Scores) -> None: ...
    def link(self, address: str) -> str:
        return ""

    def child(self, name: str, tags: Mapping[str, str], began: float | None = None) -> Run:
        return self

    def take_over(self, study: str) -> None: ...
    def beside(self, tag: str, value: str, tags: Mapping[str, str], files: Mapping[str, bytes]) -> None: ...
    def close(self, status: str = "FINISHED") -> None: ...


@contextmanager
def open_run(enabled: bool, state: Path, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """Open a run that ends as it really ended: FINISHED, FAILED on an error, KILLED on SIGINT and SIGTERM.

    Raises `UserError` where the store can never take it.
    """
    if not enabled:
        yield SilentRun()
        return
    from pipeline.tracking import stored  # MLflow: two seconds that only a run in it needs

    run = stored.prepare(state, experiment, name, {"level": "parent", **tags, **origin.tags()})
    try:
        run.begin(strict=True)  # a kill while the run is being made ends it, too
        yield run
    except stored.NoRunsError:
        raise
    except (KeyboardInterrupt, SystemExit):
        stored.finish(run, "KILLED", patience=0.0)
        raise
    except BaseException:
        stored.finish(run, "FAILED", patience=0.0)
        raise
    stored.finish(run, "FINISHED", stored.PATIENCE)
