"""Faults that befall a search, each made for real, and what they did to it.

    python -m tests.benchmarks.faults                              the whole table, in some minutes
    python -m tests.benchmarks.faults --only killed --times 100    one of them

prints the table and writes it as JSON; faults that were not asked for keep their rows. A row says how often the fault
was made, how many finished trials were lost or run twice, how many statuses are untrue and how many files half written,
and whether all results are, byte for byte, those of a search without a fault. Ends with status 1 where one did harm.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import optuna
from filelock import FileLock

from tests.faults import disks, network, processes, servers
from tests.faults.evidence import Evidence

FAULTS: dict[str, tuple[Callable[[Path, int], list[Evidence]], int]] = {  # and how often each is made
    "killed": (processes.killed, 100),
    "killed_for_real": (processes.killed_for_real, 10),
    "stopped": (processes.stopped, 5),
    "two_at_once": (processes.two_at_once, 10),
    "worker_killed": (processes.worker_killed, 4),
    "dask_worker_killed": (servers.worker_killed, 4),
    "scheduler_restarted": (servers.scheduler_restarted, 4),
    "database_restarted": (servers.database_restarted, 6),
    "tracking_away": (servers.tracking_away, 1),
    "tracking_lost": (servers.tracking_lost, 1),
    "disk_full": (disks.full, 3),
    "clock_jumps": (processes.clock_jumps, 2),
    "host_killed": (network.host_killed, 2),
    "host_cut_off": (network.host_cut_off, 2),
    "host_blinks": (network.host_blinks, 1),
}
DEFAULT_FILE = "results/benchmarks/faults.json"
COLUMNS = ("times", "lost", "doubled", "untrue", "half written", "same result")


def markdown(found: Sequence[Evidence]) -> str:
    """The table."""
    lines = ["| fault | how it was made | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for each in found:
        numbers = f"{each.times} | {each.lost} | {each.doubled} | {each.untrue} | {each.halves}"
        lines.append(f"| {each.fault} | {each.how} | {numbers} | {'yes' if each.same else '**no**'} |")
    return "\n".join(lines)


def main() -> None:
    """Make the faults that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAULTS, action="append", help="one fault; may be given several times")
    parser.add_argument("--times", type=int, help="how often each is made")
    parser.add_argument("--away", type=float, help="seconds that MLflow's server is away; 60")
    parser.add_argument("--file", type=Path, default=DEFAULT_FILE, help=f"the table as JSON; {DEFAULT_FILE}")
    asked = parser.parse_args()
    servers.MINUTE = asked.away or servers.MINUTE
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ["OMP_NUM_THREADS"] = "1"
    harmless = True
    for name in asked.only or FAULTS:
        make, times = FAULTS[name]
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            rows = make(Path(folder), times if asked.times is None else asked.times)
        rows = [replace(row, told=row.told.replace(f"{folder}/", "")) for row in rows]
        harmless &= all(row.harmless for row in rows)
        table = kept(asked.file, name, rows)
        print(f"{name}: {rows}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(markdown(table))
    sys.exit(0 if harmless else 1)


def kept(file: Path, name: str, rows: Sequence[Evidence]) -> list[Evidence]:
    """Put the rows of a fault into the file, and return the whole table."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(Path(tempfile.gettempdir()) / "faults.lock"):
        known = json.loads(file.read_text()) if file.exists() else {}
        known[name] = [asdict(row) for row in rows]
        file.write_text(
            json.dumps({name: known[name] for name in FAULTS if name in known}, allow_nan=False, indent=1) + "\n"
        )
    return [Evidence(**row) for name in FAULTS for row in known.get(name, [])]


if __name__ == "__main__":
    main()
