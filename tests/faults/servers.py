"""Faults of servers: PostgreSQL restarted, MLflow away, a Dask worker killed, its scheduler started again."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from pipeline.tracking import stored
from tests import services
from tests.faults.drivers import Driver, Search, ToySearch, ended_with
from tests.faults.evidence import Evidence, Ledger, combined
from tests.faults.real import RealSearch, experiments
from tests.services.runs import MLflow
from tests.services.server import Server

SEED = 21
CLOCKED = "search/seconds"  # the metric that is a wall-clock time
MINUTE = 60.0  # seconds


def database_restarted(folder: Path, times: int) -> list[Evidence]:
    """PostgreSQL killed and started again while a search uses it: as its study's store, and as MLflow's."""
    with services.postgres() as database:
        toy = ToySearch(folder / "toy", storage=database.url("toy"), seconds=0.3)
        ledger = toy.ledger()
        done = restarted(toy, database, times, pause=1.0)
        how = "toy search, PostgreSQL killed (immediate shutdown) and started again"
        found = [ledger.evidence("PostgreSQL restarted", how, done)]
        with services.s3() as store, services.mlflow(database, store) as server:
            search = RealSearch(folder / "real", {"MLFLOW_TRACKING_URI": server.url}, database.url("studies"))
            ledger = search.ledger()
            done = restarted(search, database, max(1, times // 3), pause=2.0)
            how = "pipeline.search, PostgreSQL below its study and below MLflow's server killed and started again"
            found.append(ledger.evidence("PostgreSQL restarted", how, done, search.untrue_runs()))
    return found


def restarted(search: Search, server: Server, times: int, pause: float) -> int:
    """Kill a server and start it again at random moments of a search; return how often that was possible."""
    draw, done = random.Random(SEED), 0
    with ended_with(search):
        driver = search.start()
        while done < times:
            time.sleep(draw.uniform(pause / 2, pause))
            if driver.ended():
                break
            server.kill()
            time.sleep(draw.uniform(0, pause))
            server.start()
            done += 1
        assert driver.wait() == 0, driver.words()
    return done


def tracking_away(folder: Path, times: int) -> list[Evidence]:
    """MLflow's server away for a minute; in the end every run is there, with all figures and files."""
    accounts = []
    with whole(folder) as (server, place, complete):
        for number in range(times):
            search = RealSearch(folder / f"away-{number}", place)
            ledger = search.ledger()
            with ended_with(search):
                driver = search.start()
                wait_for_trials(ledger, driver, 1 + number % 3)
                server.kill()
                time.sleep(MINUTE)
                server.start()
                assert driver.wait() == 0, driver.words()
            how = f"pipeline.search, MLflow's server killed after a trial and back {MINUTE:.0f} s later; all delivered"
            accounts.append(ledger.evidence("MLflow away", how, 1, differing(newest(server.url), complete)))
    return [combined(accounts)]


def tracking_lost(folder: Path, times: int) -> list[Evidence]:
    """MLflow's server goes and is not back when the search ends: the loss is stated, and the next start shows all."""
    accounts = []
    with whole(folder) as (server, place, complete):
        trials = {name: shown for name, shown in complete.items() if name != "parent"}  # which tells of one start alone
        for number in range(times):
            search = RealSearch(folder / f"lost-{number}", place)
            ledger = search.ledger()
            with ended_with(search), impatient():
                driver = search.start()
                wait_for_trials(ledger, driver, 1 + number % 3)
                server.kill()
                assert driver.wait() == 0, driver.words()
                ledger.note()
                server.start()
                assert search.start().wait() == 0, search.drivers[-1].words()
            stated = [line for line in driver.words().splitlines() if "not delivered of run" in line]
            shown = {name: shown for name, shown in newest(server.url).items() if name != "parent"}
            how = (
                "pipeline.search, MLflow's server killed after a trial and not back; loss stated, next start shows all"
            )
            untrue = differing(shown, trials) + (not stated)
            accounts.append(ledger.evidence("MLflow away", how, 1, untrue, "; ".join(stated)))
    return [combined(accounts)]


@contextmanager
def whole(folder: Path) -> Iterator[tuple[MLflow, dict[str, str], "Shown"]]:
    """A server, the environment that names it, and what it shows of a search without a fault."""
    with services.postgres() as database, services.s3() as store, services.mlflow(database, store) as server:
        place = {"MLFLOW_TRACKING_URI": server.url}
        search = RealSearch(folder / "whole", place)
        with ended_with(search):
            assert search.start().wait() == 0, search.drivers[0].words()
        yield server, place, newest(server.url)


@contextmanager
def impatient() -> Iterator[None]:
    """Drivers that wait for a server at their end for five seconds only."""
    patience, stored.PATIENCE = stored.PATIENCE, 5.0
    try:
        yield
    finally:
        stored.PATIENCE = patience


Shown = dict[str, Any]


def newest(uri: str) -> Shown:
    """All that the newest parent run and its children show, by name; without wall-clock times, addresses and paths."""
    client = MlflowClient(uri)
    runs = client.search_runs(experiments(client), max_results=5000, order_by=["attributes.start_time DESC"])
    parent = next(run for run in runs if run.data.tags.get("level") == "parent")
    shown = {"parent": content(client, parent)}
    for run in runs:
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id:
            shown[run.data.tags["trial"]] = content(client, run)
    return shown


def content(client: MlflowClient, run: Any) -> Any:
    """What one run shows."""
    names = [name for name in run.data.metrics if name != CLOCKED]
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    figures = {name: sorted({(each.step, each.value) for each in history}) for name, history in histories.items()}
    params = {name: value for name, value in run.data.params.items() if not name.startswith("paths.")}
    files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
    return run.info.status, run.info.run_name, figures, params, files, len(run.inputs.dataset_inputs)


def differing(shown: Shown, complete: Shown) -> int:
    """Runs that are missing, too many, or not as they should be."""
    return sum(shown.get(name) != complete.get(name) for name in shown.keys() | complete.keys())


def wait_for_trials(ledger: Ledger, driver: Driver, count: int) -> None:
    """Wait until a search has finished so many trials."""
    while not driver.ended():
        ledger.note()
        if len(ledger.finished) >= count:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the search ended before the fault: {driver.words()}")


def worker_killed(folder: Path, times: int) -> list[Evidence]:
    """A Dask worker killed while it trains; the other one, or its successor, trains again."""
    with (
        services.scheduler(allowed_failures=times) as cluster,
        services.worker(cluster) as first,
        services.worker(cluster) as second,
    ):

        def kill(driver: Driver) -> bool:
            busy = at_work([first, second], driver)
            if busy is not None:
                busy.restart()
            return busy is not None

        how = "pipeline.search executor=dask, two workers, kill -9 of the one that trains"
        return [on_dask(folder, cluster.url, kill, times, "worker killed mid-trial", how)]


def scheduler_restarted(folder: Path, times: int) -> list[Evidence]:
    """A Dask scheduler killed while a worker trains, and started again with new workers."""
    with services.scheduler() as cluster, services.worker(cluster) as worker:

        def restart(driver: Driver) -> bool:
            if at_work([worker], driver) is None:
                return False
            cluster.kill()
            worker.kill()
            cluster.start()
            worker.start()
            return True

        how = "pipeline.search executor=dask, kill -9 of the scheduler and its worker mid-trial, both started again"
        return [on_dask(folder, cluster.url, restart, times, "scheduler restarted", how)]


def on_dask(folder: Path, address: str, strike: Callable[[Driver], bool], times: int, fault: str, how: str) -> Evidence:
    """Search on a cluster, and strike so often while it works; a search that ends before is followed by another one."""
    overrides = ("executor=dask", f"executor.address={address}", "executor.workers=1")
    accounts, done = list[Evidence](), 0
    while done < times:
        search = RealSearch(folder / f"struck-{len(accounts)}", overrides=overrides)
        ledger, here = search.ledger(), 0
        with ended_with(search):
            driver = search.start()
            while done + here < times and not driver.ended():
                here += strike(driver)
            assert driver.wait() == 0, driver.words()
        accounts.append(ledger.evidence(fault, how, here, search.untrue_runs()))
        done += here
    return combined(accounts)


def at_work(workers: list[Server], driver: Driver) -> Server | None:
    """The worker that computes now, by the processor time that it takes; None where the driver ends before."""
    while not driver.ended():
        before = [ticks(worker) for worker in workers]
        time.sleep(0.2)
        spent = [ticks(worker) - earlier for worker, earlier in zip(workers, before, strict=True)]
        if max(spent) >= 6:  # hundredths of a second, of 20, on a machine that others use as well
            return workers[spent.index(max(spent))]
    return None


def ticks(server: Server) -> int:
    """Processor time of a server's process so far, in hundredths of a second."""
    if server.process is None:
        return 0
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
