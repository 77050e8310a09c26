"""Faults of processes: killed, told to stop, two at once, and a clock that jumps."""

import ctypes
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.base.draws import SEED
from tests.faults.drivers import Driver, Search, ToySearch, ended_with
from tests.faults.evidence import Evidence, combined
from tests.faults.real import RealSearch

DAY = 86_400


def killed(folder: Path, times: int) -> list[Evidence]:
    """A driver killed with -9 at random moments, some of them while it makes its stores or writes its answer."""
    how = "toy search, kill -9 after a random time"
    return [struck(lambda name: ToySearch(folder / name), [signal.SIGKILL], times, 1.2, "driver killed", how)]


def killed_for_real(folder: Path, times: int) -> list[Evidence]:
    """The same with real training, and runs in MLflow."""
    how = "pipeline.search, kill -9 after a random time"
    return [struck(lambda name: RealSearch(folder / name), [signal.SIGKILL], times, 4.0, "driver killed", how)]


def stopped(folder: Path, times: int) -> list[Evidence]:
    """A driver that is interrupted, by a key or by SIGTERM."""
    found = []
    for number in (signal.SIGINT, signal.SIGTERM):

        def make(name: str, number: signal.Signals = number) -> Search:
            return RealSearch(folder / f"{number.name}-{name}")

        how = f"pipeline.search, {number.name} after a random time"
        found.append(struck(make, [number], times, 4.0, number.name, how))
    return found


def struck(
    make: Callable[[str], Search],
    signals: Sequence[signal.Signals],
    times: int,
    longest: float,
    fault: str,
    how: str,
) -> Evidence:
    """Send a driver a signal at a random moment, up to so many seconds after its start, and start it again, so often.

    A search that comes to its end meanwhile is followed by another one.
    """
    draw, accounts, done = random.Random(SEED), list[Evidence](), 0
    while done < times:
        search = make(str(len(accounts)))
        ledger, here = search.ledger(), 0
        with ended_with(search):
            while done + here < times:
                driver = search.start()
                time.sleep(draw.uniform(0, longest))
                driver.send(signals[(done + here) % len(signals)])
                if driver.wait() == 0:
                    break
                here += 1
                ledger.note()
            finish(search)
        accounts.append(ledger.evidence(fault, how, here, search.untrue_runs(), said(search)))
        done += here
    return combined(accounts)


def finish(search: Search) -> None:
    """Let the search come to its end."""
    driver = search.start()
    assert driver.wait() == 0, driver.words()


def said(search: Search) -> str:
    """How its drivers ended, and how often."""
    statuses = [driver.status for driver in search.drivers]
    return ", ".join(f"status {status}: {statuses.count(status)}" for status in sorted({s for s in statuses if s}))


def two_at_once(folder: Path, times: int) -> list[Evidence]:
    """Two drivers of one study that start together; in every other round one of them is killed on the way."""
    found = []
    for kind, each, longest in ((ToySearch, times, 0.6), (RealSearch, max(1, times // 5), 2.0)):
        draw, accounts = random.Random(SEED), []
        for number in range(each):
            search = kind(folder / f"{kind.__name__}-{number}")
            ledger = search.ledger()
            with ended_with(search):
                pair = [search.start(), search.start()]
                if number % 2:
                    time.sleep(draw.uniform(0, longest))
                    pair[0].send(signal.SIGKILL)
                statuses = [driver.wait() for driver in pair]
            assert statuses[1] == 0, pair[1].words()
            assert statuses[0] in (0, -signal.SIGKILL), pair[0].words()
            words = "toy search" if kind is ToySearch else "pipeline.search"
            how = f"{words}, two drivers started together; in every other round one is killed"
            accounts.append(ledger.evidence("two drivers on one study", how, 1, search.untrue_runs()))
        found.append(combined(accounts))
    return found


def worker_killed(folder: Path, times: int) -> list[Evidence]:
    """A process of executor=processes killed while it trains."""
    search = RealSearch(
        folder / "struck", overrides=("executor=processes", "executor.workers=1", f"executor.retries={times}")
    )
    ledger, done = search.ledger(), 0
    with ended_with(search):
        driver = search.start()
        while done < times and not driver.ended():
            if workers := trial_processes(driver):
                time.sleep(0.1 * done)  # at another point of the trial each time
                with suppress(ProcessLookupError):
                    os.kill(workers[0], signal.SIGKILL)
                    done += 1
                while workers[0] in trial_processes(driver):
                    time.sleep(0.01)
            time.sleep(0.02)
        assert driver.wait() == 0, driver.words()
    how = "pipeline.search executor=processes, kill -9 of the process that trains"
    return [ledger.evidence("worker killed mid-trial", how, done, search.untrue_runs())]


def trial_processes(driver: Driver) -> list[int]:
    """The processes that a driver has spawned for trials, and that have begun to work: they have imported torch."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver.process and "spawn_main" in (path / "cmdline").read_text():
                found += [int(path.name)] if "libtorch_cpu" in (path / "maps").read_text() else []
    return found


def clock_jumps(folder: Path, times: int) -> list[Evidence]:
    """One of two drivers has a clock that jumps by a day while they search, forward or back.

    The clock is that of the C library, and so of all that Python and SQLite ask: a library that is loaded before it
    adds to what the kernel says. The monotonic clock does not jump, as in reality.
    """
    library = clock(folder)
    accounts = []
    for number in range(times):
        offset = folder / f"offset-{number}"
        offset.write_text("0")
        jump = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset)}
        search = RealSearch(folder / f"jump-{number}")
        ledger = search.ledger()
        with ended_with(search):
            other = subprocess.Popen(
                search.command(), env=os.environ | jump, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            driver = search.start()
            while not (study := ledger.study()) or not study.get_trials(deepcopy=False):
                time.sleep(0.05)
            time.sleep(0.3 * number)
            offset.write_text(str(DAY if number % 2 else -DAY))
            words = other.communicate()[0]
            assert (driver.wait(), other.returncode) == (0, 0), driver.words() + words
        how = "pipeline.search, two drivers; the clock of one jumps a day forward or back"
        accounts.append(ledger.evidence("clock jump", how, 1, search.untrue_runs(and_finished=1)))
    return [combined(accounts)]


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    FILE *file = fopen(getenv("CLOCK_OFFSET_FILE"), "r");
    long seconds = 0;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += offset();
    return status;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    int status = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec; now->tv_usec = precise.tv_nsec / 1000;
    return status;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


def clock(folder: Path) -> Path:
    """Build the library; raises where there is no C compiler."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    ctypes.CDLL(str(library))
    return library
