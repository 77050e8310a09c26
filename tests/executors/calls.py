"""What the tests send to other processes; alone, a driver that waits for its worker to be told apart and killed."""

import os
import signal
import sys
import time
from pathlib import Path

from pipeline.executors.processes import Processes


def writes(path: Path) -> int:
    """How often this was called with the path."""
    with path.open("a") as file:
        file.write("x")
    return len(path.read_text())


def dies_first(path: Path) -> int:
    """As `writes`, but the first call kills its process."""
    count = writes(path)
    if count == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return count


def tells_its_process() -> int:
    return os.getpid()


def sleeps(seconds: float) -> None:
    time.sleep(seconds)


if __name__ == "__main__":
    with Processes(workers=1, retries=0) as executor:
        sys.stdout.write(f"{executor.submit(tells_its_process).result()}\n")
        sys.stdout.flush()
        executor.submit(sleeps, 600).result()
