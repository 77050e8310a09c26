"""Faults of disks, servers and hosts, each made for real once: nothing is lost, and the results are as without it.

`python -m tests.benchmarks.faults` makes all of them, and more often, for the table of LOG.md. Drivers that are killed,
stopped or two at once are tested where they are at home: test_search, test_tracking, test_resume, test_driver.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.base.commands import ROOT, environment

pytestmark = pytest.mark.slow


def made(folder: Path, times: int, *names: str) -> list[dict[str, Any]]:
    """The rows of the table for these faults."""
    file, only = folder / "faults.json", [word for name in names for word in ("--only", name)]
    command = [
        "python",
        "-m",
        "tests.benchmarks.faults",
        *only,
        "--times",
        str(times),
        "--away",
        "5",
        "--file",
        str(file),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert file.exists(), done.stderr
    rows: list[dict[str, Any]] = [row for rows in json.loads(file.read_text()).values() for row in rows]
    assert (done.returncode == 0) == all(harmless(row) for row in rows)
    return rows


def harmless(row: dict[str, Any]) -> bool:
    return row["same"] and not (row["lost"] or row["doubled"] or row["untrue"] or row["halves"])


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    rows = made(tmp_path, 1, "disk_full")
    assert [row["fault"] for row in rows] == [f"disk full at {place}" for place in ("data", "state", "results")]
    assert [row for row in rows if not harmless(row) or row["times"] != 1] == []
    for row in rows:
        assert re.search(
            "error: .*(is kept|are kept|can't be opened)|not delivered of run|MLflow takes no runs", row["told"]
        ), row


@pytest.mark.service
def test_servers_that_go_and_come_back_lose_nothing(tmp_path: Path) -> None:
    rows = made(tmp_path, 1, "database_restarted", "scheduler_restarted", "tracking_away")
    assert [row["fault"] for row in rows] == ["scheduler restarted", *["PostgreSQL restarted"] * 2, "MLflow away"]
    assert [row for row in rows if not harmless(row) or row["times"] != 1] == []


@pytest.mark.service
def test_a_host_that_is_cut_off_from_the_study_takes_nothing_with_it(tmp_path: Path) -> None:
    (row,) = made(tmp_path, 1, "host_cut_off")
    assert harmless(row) and row["times"] == 1
