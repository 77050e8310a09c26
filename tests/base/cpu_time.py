"""A plugin of pytest: the processor time of each test, its processes included.

    CPU_TIMES=times.jsonl python -m pytest -p tests.base.cpu_time
    python -m tests.base.cpu_time times.jsonl

The second command prints the sum of each file. Wall-clock time, which `--durations` shows, says little on a machine
that does other work. A process counts once it has ended and was waited for; a fixture counts for the first test that
uses it, and its end for the last.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.base import warm


def spent() -> float:
    """Return the processor time of this process and of those that it has waited for [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system + warm.spent()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Append a line a test to $CPU_TIMES; workers of pytest-xdist share the file."""
    before = spent()
    yield
    with Path(os.environ["CPU_TIMES"]).open("a") as file:
        file.write(json.dumps([item.nodeid, round(spent() - before, 3)]) + "\n")


def main(path: Path) -> None:
    """Print the files by their time, then all of it."""
    sums, counts = defaultdict[str, float](float), defaultdict[str, int](int)
    for line in path.read_text().splitlines():
        name, seconds = json.loads(line)
        sums[name.partition("::")[0]] += seconds
        counts[name.partition("::")[0]] += 1
    for name in sorted(sums, key=sums.__getitem__, reverse=True):
        print(f"{sums[name]:8.1f} s  {counts[name]:5d} tests  {name}")
    print(f"{sum(sums.values()):8.1f} s  {sum(counts.values()):5d} tests  all")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
