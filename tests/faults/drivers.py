"""Drivers of a search in processes of their own, which faults befall; here of a toy, without training.

Each is a fork of a process that has imported everything, so that a fault after a random time falls into the work and
not into the imports.
"""

import csv
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from pipeline.base.files import replaced, write_json
from pipeline.study.opening import open_study
from tests.faults.evidence import Files, Ledger, files
from tests.study import toy_search
from tests.study.rows import trial_rows

PAGE = 4096  # bytes, what a file takes at least
ENDLESS = 300  # seconds after which a driver that has not ended is a failure of the test


@dataclass
class Driver:
    """A process that drives a search."""

    process: int
    said: Path  # its output
    status: int | None = None  # once it has ended; negative: the signal that ended it

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended():
            os.kill(self.process, number)

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if process else None
        return self.status is not None

    def wait(self, patience: float = ENDLESS) -> int:
        """Its exit status; raises `TimeoutError` with its output where it does not end."""
        until = time.monotonic() + patience
        while not self.ended():
            if time.monotonic() > until:
                os.kill(self.process, signal.SIGKILL)
                raise TimeoutError(f"a driver does not end:\n{self.said.read_text()}")
            time.sleep(0.01)
        assert self.status is not None
        return self.status

    def words(self) -> str:
        """All that it said."""
        return self.said.read_text()


@dataclass
class Search:
    """A small search with stores and results of its own, which any number of drivers may run."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    storage: str = ""  # of the study; "": a file
    drivers: list[Driver] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self, *overrides: str) -> Driver:
        """A driver that has just begun."""
        said = self.folder / f"said-{len(self.drivers)}"
        process = os.fork()
        if process == 0:
            _become(lambda: self.work(*overrides), said, self.environment)
        self.drivers.append(Driver(process, said))
        return self.drivers[-1]

    def work(self, *overrides: str) -> None:
        """What a driver does."""
        raise NotImplementedError

    def ledger(self) -> Ledger:
        """An account of it."""
        return Ledger(self.storage, self.results, self.undisturbed().files)

    @property
    def results(self) -> Path:
        """Where its answer is."""
        raise NotImplementedError

    def untrue_runs(self, and_finished: int = 0) -> int:
        """Runs in MLflow whose status is not how they ended; `and_finished`: drivers that others started."""
        return 0

    @classmethod
    @cache
    def undisturbed(cls) -> "Reference":
        """What such a search leaves without a fault."""
        with tempfile.TemporaryDirectory() as place:
            search = cls(Path(place))
            driver = search.start()
            assert driver.wait() == 0, driver.words()
            needs = {path.name: taken(path) for path in Path(place).iterdir() if path.is_dir()}
            return Reference(files(search.results), needs)


@dataclass(frozen=True)
class Reference:
    """A search without a fault."""

    files: Files
    needs: Mapping[str, int]  # bytes on a disk, by folder


def taken(folder: Path) -> int:
    """Bytes that the files of a folder take on a disk."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // PAGE) * PAGE for size in sizes)


@dataclass
class ToySearch(Search):
    """Some fifteen trials that take a few hundredths of a second each, and an answer in files."""

    seconds: float = 0.02  # of each trial

    def __post_init__(self) -> None:
        super().__post_init__()
        self.storage = self.storage or f"sqlite:///{self.folder}/study.db"

    @property
    def results(self) -> Path:
        return self.folder / "results" / "toy"

    def work(self, *overrides: str) -> None:
        found = toy_search.run(self.storage, self.seconds)
        rows = trial_rows(open_study(self.storage, "toy", toy_search.HorizonSampler.of(toy_search.CHOICES)))
        with replaced(self.results) as fresh:
            write_json(fresh / "horizon.json", asdict(found))
            with (fresh / "trials.csv").open("w", newline="") as file:
                table = csv.DictWriter(file, rows[0])
                table.writeheader()
                table.writerows(rows)


def _become(work: Callable[[], None], said: Path, environment: Mapping[str, str]) -> None:
    """In a fork: do the work, say everything to a file, and end."""
    status = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "OPTUNA_", "DVC_"))]:
            del os.environ[name]
        os.environ.update(environment)
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        status = 130
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@contextmanager
def ended_with(*searches: Search) -> Iterator[None]:
    """Kill at the end of the block whatever drivers still run."""
    try:
        yield
    finally:
        for each in searches:
            for driver in each.drivers:
                driver.send(signal.SIGKILL)
                driver.wait()


if __name__ == "__main__":  # a toy on another host: STORAGE FOLDER SECONDS HEARTBEAT SILENCE [NAME]
    from pipeline.base import processes
    from pipeline.study import driver as driving
    from pipeline.study import liveness

    storage, place, each, driving.HEARTBEAT, liveness.SILENCE = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
    if sys.argv[6:]:
        processes.machine = lambda: sys.argv[6]
    ToySearch(Path(place), storage=storage, seconds=each).work()
