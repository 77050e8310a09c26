"""A disk that is full: a small file system in memory, mounted where a search keeps data, state or results.

Where this process may not mount, the system's limit on the size of a file stands in, and the table says so.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.drivers import PAGE, ended_with
from tests.faults.evidence import Evidence, combined
from tests.faults.real import RealSearch

ROOM = 1 << 28  # bytes, more than enough


def full(folder: Path, times: int) -> list[Evidence]:
    """The disk full at data, state and results, each time with room for another share; then there is room again."""
    make, words = (
        (mounted, "tmpfs") if may_mount(folder / "try") else (limited, "a limit on the size of a file, not tmpfs,")
    )
    found, needs = [], RealSearch.undisturbed().needs
    for place in ("data", "state", "results"):
        accounts = []
        for number in range(times):
            silent = () if place == "state" else ("tracking.enabled=false",)
            search = RealSearch(folder / f"{place}-{number}", overrides=silent)
            ledger = search.ledger()
            size = max(int(needs[place] * (number + 0.5) / times), 2 * PAGE)
            with make(search.folder / place, size) as make_room, ended_with(search):
                driver = search.start()
                status, said = driver.wait(), driver.words()
                assert status == 2 or (status == 0 and place == "state"), (status, said)
                assert "Traceback" not in said, said
                make_room()
                ledger.note()
                again = search.start()
                assert again.wait() == 0, again.words()
                how = f"pipeline.search, {words} of a share of what it needs at paths.{place}, then room"
                untrue = 0 if silent else search.untrue_runs()
                told = "; ".join(line for line in said.splitlines() if line.startswith(("error", "warning")))
                accounts.append(ledger.evidence(f"disk full at {place}", how, 1, untrue, told))
        found.append(combined(accounts))
    return found


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a file system; where not, that is said."""
    try:
        with mounted(folder, ROOM):
            return True
    except PermissionError as error:
        print(f"{error}: the limit on the size of a file stands in for a full disk", file=sys.stderr)
        return False


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A file system of so many bytes; yields what makes room. Raises `PermissionError` where it can't be mounted."""
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield lambda: mount("-o", f"remount,size={ROOM}", str(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*arguments: str) -> None:
    """Mount; raises `PermissionError` with what the system said."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip())


@contextmanager
def limited(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Drivers that begin in this block can't write files of more bytes than this, anywhere; yields what ends that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 4, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
