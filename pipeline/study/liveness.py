"""Which process runs a trial, and whether it still lives; a killed process leaves its trials RUNNING in the study."""

import os
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

HEARTBEAT = 30.0  # seconds between signs of life
SILENCE = 120.0  # seconds without one after which a process on another machine is taken for dead
GRACE = 2.0  # seconds that a new trial may take to name its owner

# by trial: its last sign of life, when this process first saw that, and when it last looked
_heard: dict[Any, tuple[Any, float, float]] = {}


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
    """Return whether the process of this machine with this number, that started then, still runs."""
    return _is_running(process) and started(process) == since


def started(process: int) -> str:
    """Return when a process started, in clock ticks since boot; empty where the system does not tell."""
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def lives(trial: FrozenTrial, now: float | None = None) -> bool:
    """Return whether a RUNNING trial is still worked on; `now` in seconds of this process's own clock.

    Clocks of two machines are never compared, and a clock that is set does no harm: a process on another machine is
    taken for dead when this one has looked for `SILENCE` seconds and heard no new sign of life. If it could not look
    meanwhile, for it was suspended or the database was away, it listens anew.
    """
    owner = trial.user_attrs.get("owner")
    if owner is not None and owner["machine"] == machine():
        return runs(owner["process"], owner["started"])
    return _silence(trial, time.monotonic() if now is None else now) < (GRACE if owner is None else SILENCE)


def _silence(trial: FrozenTrial, now: float) -> float:
    """Return for how long this process has known the last sign of life of a trial, in seconds."""
    sign = (trial.user_attrs.get("owner") is None, trial.user_attrs.get("heartbeat"))
    key = (trial.number, trial._trial_id, trial.datetime_start)
    known, since, looked = _heard.get(key, (None, now, now))
    if known != sign or now - looked > SILENCE / 2:
        since = now
    _heard[key] = (sign, since, now)
    return now - since


def newborn(trial: FrozenTrial) -> bool:
    """Return whether a RUNNING trial has not named its owner yet, but may still do so."""
    return "owner" not in trial.user_attrs and lives(trial)


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
