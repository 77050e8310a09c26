"""Runs a search that is killed again and again: `python -m tests.killed_search KILLS OVERRIDES…`.

Everything is imported once; each attempt is a fork, killed with -9 after a random time, so that kills fall anywhere in
the work and not in the imports. The last attempt is left alone. Prints one JSON line: how the attempts ended.
"""

import json
import os
import random
import signal
import sys
import time

from pipeline import search

LONGEST = 2.5  # seconds until a kill, at most
SEED = 20


def attempt(overrides: list[str], patience: float | None) -> int:
    """The wait status of one attempt, killed after `patience` seconds if that is not None."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["search", *overrides]
        search.main()
        os._exit(0)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Kill, kill again, then finish."""
    kills, overrides = int(sys.argv[1]), sys.argv[2:]
    draw = random.Random(SEED)
    killed = sum(os.WIFSIGNALED(attempt(overrides, draw.uniform(0, LONGEST))) for _ in range(kills))
    status = os.waitstatus_to_exitcode(attempt(overrides, None))
    print(json.dumps({"killed": killed, "status": status}))


if __name__ == "__main__":
    main()
