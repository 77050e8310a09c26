"""Runs a search that is killed again and again: `python -m tests.runs.killed_search KILLS OVERRIDES…`.

Everything is imported once; each attempt is a fork, killed with -9 after a random time, so that kills fall anywhere in
the work and not in the imports. The last attempt is left alone. SEARCH in an override is the number of the search.
Prints one JSON line: how many kills there were, and how the searches ended.
"""

import json
import os
import random
import signal
import sys
import time

from pipeline import search
from tests.base.draws import SEED

LONGEST = 2.5  # seconds until a kill, at most


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
    """Kill until it was killed often enough; a search that ends before is followed by one in a folder of its own."""
    kills, overrides = int(sys.argv[1]), sys.argv[2:]
    draw, killed, searches, statuses = random.Random(SEED), 0, 0, []
    while killed < kills:
        status = attempt([each.replace("SEARCH", str(searches)) for each in overrides], draw.uniform(0, LONGEST))
        if os.WIFSIGNALED(status):
            killed += 1
        else:
            statuses.append(os.waitstatus_to_exitcode(status))
            searches += 1
    statuses.append(
        os.waitstatus_to_exitcode(attempt([each.replace("SEARCH", str(searches)) for each in overrides], None))
    )
    print(json.dumps({"killed": killed, "statuses": statuses}))


if __name__ == "__main__":
    main()
