"""What the stores bear: many workers on one study, a long study, many runs; and what the published grid would cost.

`python -m tests.benchmarks.load [FILE]` prints four tables and writes them as JSON; `--help` has options for fewer
trials and runs. It starts a PostgreSQL that waits for the disk, MLflow's server and S3 itself. All are wall times,
which a busy machine spoils.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial, wraps
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from mlflow import MlflowClient
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from pipeline import tracking
from pipeline.executors.inline import Inline
from pipeline.study import claims
from pipeline.study.driver import search
from pipeline.study.opening import open_study
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import LENGTH, attributes
from pipeline.tracking.links import LISTED
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.stored import StoredRun
from tests import services
from tests.benchmarks import capacity
from tests.study.toy import Toy, options

SHORT = Toy(seconds=0.05)  # a trial that takes so long
ASKS = 20
SIZES = {"each": 200, "long": 2000, "runs": 1000}  # trials of a worker, of a long study; runs
NAME, LONG = "load", "long"  # studies
STORAGE = ("set_trial_user_attr", "set_trial_system_attr", "set_trial_param", "set_trial_state_values")
STORAGE += ("create_new_trial", "get_all_trials", "get_trial", "get_best_trial")  # calls that a search makes
DEFAULT_FILE = "results/benchmarks/load.json"

Row = dict[str, Any]


def timed(call: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The same call, which notes how long it took."""

    @wraps(call)
    def noted(*args: Any, **kwargs: Any) -> Any:
        before = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            seconds.append(time.monotonic() - before)

    return noted


# ---------------------------------------------------------------- many workers on one study


def work(storage: str, workers: int, trials: int) -> Row:
    """One of several processes that search one study together, until it has so many trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    choices = options(trials=trials, factor=1.0001)  # never sure enough to end before
    study = open_study(storage, NAME, HorizonSampler.of(choices))
    waits, asks, began = list[float](), list[float](), time.monotonic()
    for name in STORAGE:
        setattr(study._storage, name, timed(getattr(study._storage, name), waits))
    claims.claim = timed(claims.claim, asks)
    search(study, SHORT, choices, Inline(), workers)
    return {"seconds": time.monotonic() - began, "waits": waits, "asks": asks, "cpu": time.process_time()}


def throughput(storage: str, workers: int, trials: int) -> Row:
    """How fast several processes work at one study; raises where a trial failed, was lost, or was made twice."""
    open_study(storage, NAME, HorizonSampler.of(options()))  # so that nobody makes the tables while others do
    began = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        ended = list(pool.map(partial(work, storage, workers), [trials] * workers))
    seconds = max(each["seconds"] for each in ended)
    study = optuna.load_study(study_name=NAME, storage=storage)
    numbers = [trial.user_attrs["ordinal"] for trial in study.trials if trial.state == TrialState.COMPLETE]
    complete = len(numbers)
    assert trials <= complete < trials + workers, f"{complete} of {trials}"  # those that ran when it was enough end
    assert len(set(numbers)) == complete, "a trial was made twice"
    assert max(numbers) < complete + workers, "trials are missing"  # but for claims that waited to be made again
    waits, asks = ([each for row in ended for each in row[name]] for name in ("waits", "asks"))
    return {
        "store": storage.partition(":")[0],
        "workers": workers,
        "trials": complete,
        "closed as another's": len(study.trials) - complete,  # claims that came too late; nothing was trained
        "errors": 0,  # else this line is not reached
        "seconds": seconds,
        "seconds with the start of processes": time.monotonic() - began,
        "trials a second": complete / seconds,
        "share of time in the store": sum(waits) / sum(each["seconds"] for each in ended),
        "store calls a trial": len(waits) / complete,
        "milliseconds a store call": 1e3 * median(waits),
        "longest store call, seconds": max(waits),
        "milliseconds an ask": 1e3 * median(asks),
        "processor seconds": sum(each["cpu"] for each in ended),
    }


# ---------------------------------------------------------------- a long study


def long_study(storage: str, trials: int) -> Row:
    """How long an ask takes once a study has many trials: to claim the next one, with all that belongs to it."""
    choices = options(trials=2 * trials, factor=1.0001)
    study = open_study(storage, LONG, HorizonSampler.of(choices))
    study.add_trials([finished(number) for number in range(trials)])
    study = open_study(storage, LONG, HorizonSampler.of(choices))  # a process that has read nothing yet
    asks = list[float]()
    first = time.monotonic()
    study.get_trials(deepcopy=False)
    first = time.monotonic() - first
    for _ in range(ASKS):
        mine = timed(claims.claim, asks)(study, choices, "t50")
        claims.finish(study, mine, Toy()(mine.length, mine.seeds))
    told = {"median": 1e3 * median(asks), "longest": 1e3 * max(asks)}
    return {"store": storage.partition(":")[0], "trials": trials, "first read, seconds": first, "milliseconds": told}


def finished(ordinal: int) -> optuna.trial.FrozenTrial:
    """A trial as a search records it, near the horizon of the toy."""
    done = Toy().trial(30 + ordinal % 20, ordinal)
    known = {"ordinal": ordinal, "aim": "t50"} | attributes(done)
    space = {LENGTH: IntDistribution(4, 256, log=True)}
    return create_trial(value=done.share, params={LENGTH: done.length}, distributions=space, user_attrs=known)


# ---------------------------------------------------------------- many runs


def runs(address: str, count: int) -> Row:
    """How long MLflow takes to begin, search and close runs among many others, each with params and metrics."""
    client = MlflowClient(address)
    experiment = client.create_experiment("load")
    took: dict[str, list[float]] = {name: [] for name in ("made", "searched", "opened and closed")}
    with environment("MLFLOW_TRACKING_URI", address), TemporaryDirectory() as state:
        for number in range(count):
            timed(make_run, took["made"])(client, experiment, number)
            if number in (count // 10, count - 1):
                for _ in range(5):
                    find = timed(client.search_runs, took["searched"])
                    assert find([experiment], "tags.level = 'parent'", max_results=LISTED)
                    timed(open_and_close, took["opened and closed"])(Path(state))
    told = {name: seconds for name, seconds in took.items() if name != "made"}
    few, many = ({name: 1e3 * median(seconds[part]) for name, seconds in told.items()} for part in (FEW, MANY))
    return {
        "runs": count,
        "milliseconds to make one": 1e3 * median(took["made"]),
        str(count // 10): few,
        str(count): many,
    }


FEW, MANY = slice(0, 5), slice(5, 10)


def make_run(client: MlflowClient, experiment: str, number: int) -> None:
    """A run as a trial's: one in ten is a parent."""
    tags = {"level": "parent" if number % 10 == 0 else "child"}
    made = StoredRun(lambda: (client, experiment), Outbox(print), f"T={number}", tags).begin()
    made.params({f"setting.{each}": each for each in range(40)})
    for step in range(10):
        made.metrics(step, {f"gradient/figure_{each}": 0.5 for each in range(10)})
    made.close()


def open_and_close(state: Path) -> None:
    """What a command does at its begin and end."""
    with tracking.open_run(True, state, "load", "opened", {}):
        pass


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the environment for the time of the block."""
    os.environ[name] = value
    yield
    del os.environ[name]


# ---------------------------------------------------------------- all of it


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=DEFAULT_FILE)
    for name, number in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with services.postgres(durable=True) as database, TemporaryDirectory() as folder:
        stores = {database.url("studies"): 8, f"sqlite:///{folder}/optuna.db": 4}
        measured: Row = {
            "cores": os.cpu_count(),
            "workers": [throughput(url, many, many * given.each) for url, many in stores.items()],
        }
        print(json.dumps(measured["workers"], allow_nan=False, indent=1), flush=True)
        measured["long study"] = [long_study(url, given.long) for url in stores]
        print(json.dumps(measured["long study"], allow_nan=False, indent=1), flush=True)
        with services.s3() as store, services.mlflow(database, store) as server:
            measured["runs"] = runs(server.url, given.runs)
        print(json.dumps(measured["runs"], allow_nan=False, indent=1), flush=True)
    measured["capacity"] = capacity.measured()
    print(json.dumps(measured["capacity"], allow_nan=False, indent=1))
    Path(given.file).write_text(json.dumps(measured, allow_nan=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
