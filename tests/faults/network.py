"""Two hosts on one study: network namespaces with names and processes of their own, and cables that can be cut.

    database — relay — 10.98.0.1 ══ 10.98.0.2 host A
                       10.98.1.1 ══ 10.98.1.2 host B

A host is a network namespace whose drivers run with a host name and process numbers of their own, so that neither can
ask the system whether the other's drivers live: it must listen for their heartbeats. Where this process may not make
namespaces, processes that call themselves hosts stand in, whose cable is cut by suspending the relay; the table then
says so.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from tests import services
from tests.base.commands import ROOT
from tests.faults.drivers import ToySearch
from tests.faults.evidence import Evidence, Ledger, combined
from tests.services.database import Postgres
from tests.services.server import free_port

HEARTBEAT, SILENCE = 0.3, 2.0  # seconds, of these drivers; 30 and 120 else


@dataclass
class Host:
    """A network namespace that is joined to this one by a cable."""

    name: str
    link: str  # this end of the cable
    gate: str  # its address at this end

    def start(self, search: ToySearch, storage: str) -> subprocess.Popen[str]:
        """A driver on this host."""
        inside = driver_of(search, storage)
        named = ["sh", "-c", 'hostname "$0" && exec "$@"', self.name, *inside]
        apart = ["unshare", "--pid", "--uts", "--mount-proc", "--fork", "--kill-child", *named]
        command = ["ip", "netns", "exec", self.name, *apart]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def cut(self) -> None:
        """Cut the cable: what is sent is lost, and nobody is told."""
        system("ip", "link", "set", self.link, "down")

    def mend(self) -> None:
        """Join it again."""
        system("ip", "link", "set", self.link, "up")


@dataclass
class Pretender:
    """A process of this machine that calls itself another host."""

    name: str
    relays: list[subprocess.Popen[bytes]]
    gate: str = "127.0.0.1"

    def start(self, search: ToySearch, storage: str) -> subprocess.Popen[str]:
        """A driver that goes by the name of this host."""
        command = [*driver_of(search, storage), self.name]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def cut(self) -> None:
        """Suspend what carries its words."""
        self.relays[-1].send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Let it carry on."""
        self.relays[-1].send_signal(signal.SIGCONT)


AnyHost = Host | Pretender


def driver_of(search: ToySearch, storage: str) -> list[str]:
    """The command of a driver of a search."""
    numbers = [str(each) for each in (search.seconds, HEARTBEAT, SILENCE)]
    return [sys.executable, "-m", "tests.faults.drivers", storage, str(search.folder), *numbers]


@contextmanager
def hosts() -> Iterator[tuple[AnyHost, AnyHost]]:
    """Two hosts, or what stands in for them, which is said."""
    with ExitStack() as stack:
        try:
            pair: tuple[AnyHost, AnyHost] = stack.enter_context(host(0)), stack.enter_context(host(1))
        except (PermissionError, FileNotFoundError) as error:
            print(f"{error}: processes stand in for two hosts", file=sys.stderr)
            pair = Pretender("host-0", []), Pretender("host-1", [])
        yield pair


@contextmanager
def host(number: int) -> Iterator[Host]:
    """One host, its cable and its addresses; raises `PermissionError` where this process may not make one."""
    system("unshare", "--pid", "--uts", "--mount-proc", "--fork", "true")
    taken = f"{os.getpid() % 2**20:05x}{number}"
    name, link, far = f"host-{taken}", f"near{taken}", f"far{taken}"
    subnet = f"10.98.{number + 2 * (os.getpid() % 120)}"
    system("ip", "netns", "add", name)
    try:
        system("ip", "link", "add", link, "type", "veth", "peer", "name", far, "netns", name)
        system("ip", "address", "add", f"{subnet}.1/30", "dev", link)
        system("ip", "link", "set", link, "up")
        system("ip", "-n", name, "address", "add", f"{subnet}.2/30", "dev", far)
        system("ip", "-n", name, "link", "set", far, "up")
        yield Host(name, link, f"{subnet}.1")
    finally:
        system("ip", "netns", "delete", name)


def system(*command: str) -> None:
    """Run a command of the system; raises `PermissionError` with what it said where it is refused."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def relay(host: AnyHost, database: Postgres, name: str) -> Iterator[str]:
    """The address of a database as a host sees it, for as long as the block runs."""
    port = free_port()
    command = [sys.executable, "-m", "tests.faults.relay", host.gate, str(port), str(database.port)]
    process = subprocess.Popen(command, cwd=ROOT)
    if isinstance(host, Pretender):
        host.relays.append(process)
    try:
        until = time.monotonic() + 30
        while not _answers(host.gate, port) and time.monotonic() < until:
            time.sleep(0.05)
        yield database.url(name).replace(database.address, f"{host.gate}:{port}")
    finally:
        process.kill()
        process.wait()


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


Blow = Callable[[AnyHost, subprocess.Popen[str], Ledger], None]


def dies(host: AnyHost, driver: subprocess.Popen[str], ledger: Ledger) -> None:
    """The host of a driver fails."""
    driver.kill()


def is_cut_off(host: AnyHost, driver: subprocess.Popen[str], ledger: Ledger) -> None:
    """The host is cut off until the other has gone on without it."""
    host.cut()
    known, until = len(ledger.finished), time.monotonic() + 60
    while len(ledger.finished) < known + 2 and time.monotonic() < until:
        time.sleep(0.2)
        ledger.note()
    host.mend()


def blinks(host: AnyHost, driver: subprocess.Popen[str], ledger: Ledger) -> None:
    """The cable is cut for less time than a driver may be silent."""
    host.cut()
    time.sleep(SILENCE / 4)
    host.mend()


def host_killed(folder: Path, times: int) -> list[Evidence]:
    """A host fails in the middle of a trial."""
    return two_hosts(folder, times, dies, "one fails (kill -9)")


def host_cut_off(folder: Path, times: int) -> list[Evidence]:
    """A host is cut off in the middle of a trial, which the other one therefore runs again."""
    return two_hosts(folder, times, is_cut_off, "one is cut off until the other has taken over, then joined again")


def host_blinks(folder: Path, times: int) -> list[Evidence]:
    """A host is cut off for a moment, in trials that take longer than a driver may be silent."""
    return two_hosts(
        folder, times, blinks, "one is cut off for a moment; trials take longer than it may be silent", 2.4
    )


def two_hosts(folder: Path, times: int, blow: Blow, words: str, seconds: float = 0.5) -> list[Evidence]:
    """Drivers on two hosts search one study on PostgreSQL, with trials of so many seconds, while a blow befalls one."""
    accounts = []
    with services.postgres() as database, hosts() as pair:
        for number in range(times):
            name = f"{blow.__name__}-{number}"
            with relay(pair[0], database, name) as first, relay(pair[1], database, name) as second:
                search = ToySearch(folder / name, storage=database.url(name), seconds=seconds)
                kind = "network namespaces" if isinstance(pair[0], Host) else "processes, not namespaces,"
                how = f"toy search on PostgreSQL, two {kind} as hosts: {words}"
                accounts.append(one_round(search, pair, (first, second), blow, number, how))
    return [combined(accounts)]


def one_round(
    search: ToySearch,
    pair: tuple[AnyHost, AnyHost],
    storages: tuple[str, str],
    blow: Blow,
    number: int,
    how: str,
) -> Evidence:
    """Two drivers, one blow to the first of them in the middle of a trial, and what came of it."""
    ledger = search.ledger()
    drivers = [host.start(search, storage) for host, storage in zip(pair, storages, strict=True)]
    try:
        struck = at_work(ledger, pair, drivers)
        time.sleep(search.seconds * (number % 4) / 4)
        blow(pair[struck], drivers[struck], ledger)
        words = [driver.communicate(timeout=120)[0] for driver in drivers]
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()
    statuses = {driver.returncode for driver in drivers}
    assert statuses <= ({0, -signal.SIGKILL} if blow is dies else {0}), (statuses, words)
    return ledger.evidence("two hosts", how, 1)


def at_work(ledger: Ledger, pair: Sequence[AnyHost], drivers: Sequence[subprocess.Popen[str]]) -> int:
    """Wait until both hosts search; return the place of the one that has just begun a trial."""
    seen = 0
    while all(driver.poll() is None for driver in drivers):
        time.sleep(0.05)
        ledger.note()
        study = ledger.study()
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if study else []
        owners = [
            trial.user_attrs["owner"]["machine"].partition("/")[0] for trial in running if "seeds" in trial.user_attrs
        ]
        if len(ledger.finished) > seen and owners:
            seen = len(ledger.finished)
            if seen >= 3:
                return [host.name for host in pair].index(owners[0])
    raise RuntimeError(f"a driver ended before the fault: {[driver.communicate()[0] for driver in drivers]}")
