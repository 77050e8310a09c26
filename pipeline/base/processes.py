"""The identity of a process, which tells it from all others, and whether it still runs.

Start times are clock ticks since the machine was started, from /proc: setting the clock does not change them, as it
would those that `psutil` counts from 1970.
"""

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any


def here() -> dict[str, Any]:
    """Return what tells this process from all others: machine, process number and the time it started."""
    return {"machine": machine(), "process": os.getpid(), "started": started(os.getpid())}


@cache
def machine() -> str:
    """Return a name shared by the processes that see each other: host, boot and process namespace."""
    parts = [socket.gethostname(), boot()]
    with suppress(OSError):  # not Linux
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "/".join(part for part in parts if part)


def boot() -> str:
    """Return what tells this start of the machine from the others; empty where the system does not tell."""
    return _read("/proc/sys/kernel/random/boot_id")


def runs(process: int, since: str) -> bool:
    """Return True if the process of this machine with this number, started then, still runs."""
    return _is_running(process) and started(process) == since


def started(process: int) -> str:
    """Return when a process started, in clock ticks since boot; empty where the system does not tell."""
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is another user's
    return not _read(f"/proc/{process}/stat").rpartition(")")[2].startswith(" Z")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
