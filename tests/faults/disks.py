"""A disk that is full: a small file system in memory, mounted where a search keeps data, state or results."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.drivers import PAGE, ended_with
from tests.faults.evidence import Evidence, combined
from tests.faults.real import RealSearch

ROOM = 1 << 28  # bytes, more than enough


def full(folder: Path, times: int) -> list[Evidence]:
    """The disk full at data, state and results, each time with room for another share; then there is room again."""
    found, needs = [], RealSearch.undisturbed().needs
    for place in ("data", "state", "results"):
        accounts = []
        for number in range(times):
            search = RealSearch(folder / f"{place}-{number}")
            ledger = search.ledger()
            size = int(needs[place] * (number + 0.5) / times)
            with disk(search.folder / place, max(size, 2 * PAGE)) as mounted, ended_with(search):
                driver = search.start()
                status, words = driver.wait(), driver.words()
                assert status == 2 or (status == 0 and place == "state"), (status, words)
                assert "Traceback" not in words, words
                ledger.note()
                resize(mounted, ROOM)
                again = search.start()
                assert again.wait() == 0, again.words()
                how = f"pipeline.search, tmpfs of a share of what it needs at paths.{place}, then room"
                said = "; ".join(line for line in words.splitlines() if line.startswith(("error", "warning")))
                accounts.append(ledger.evidence(f"disk full at {place}", how, 1, search.untrue_runs(), said))
        found.append(combined(accounts))
    return found


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes; raises `PermissionError` where this process may not mount one."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"a full disk can't be made here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: int) -> None:
    """Give a mounted file system another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
