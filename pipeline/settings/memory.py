"""Rejects settings whose minimum memory use exceeds what this machine has."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import UserError

if TYPE_CHECKING:  # numpy
    import pipeline.tasks.task

FLOAT = 4  # bytes
KEPT = 2  # every state of a pass, and the error that comes back to it
GIB = 2**30  # bytes
ELSEWHERE = 2**44  # bytes: no other device or machine, of which nothing is known here, has more
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of the group of processes, on Linux


def memory() -> int:
    """Return the bytes of memory that this machine has, or allows to this group of processes."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(LIMIT.read_text()))
    except (OSError, ValueError):  # there is no such group, or it says `max`
        return whole


def held_out(task: "pipeline.tasks.task.Task", length: int, count: int) -> int:
    """Return the bytes that the held-out sequences of one length take at least."""
    return count * task.steps(length) * (1 if task.symbols else FLOAT * task.channels)


def training(task: "pipeline.tasks.task.Task", length: int, replicas: int, batch: int, hidden: int) -> int:
    """Return the bytes that an update takes at least: weights, their gradient, states, their errors."""
    return FLOAT * KEPT * replicas * hidden * (hidden + batch * task.steps(length))


def require_room(needed: int, settings: Mapping[str, int], elsewhere: bool = False) -> None:
    """Raise `UserError` where these settings need so many bytes, and there is no such memory, here or elsewhere."""
    there = ELSEWHERE if elsewhere else memory()
    if needed > there:
        named = " x ".join(f"{name} {value}" for name, value in settings.items())
        raise UserError(f"{named} must fit into a memory of {there / GIB:.4g} GiB; got {needed // GIB} GiB at least")
