"""The folder of a task's held-out sequences: a file for each length, and task.json, which says what they are."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import KEPT, replaced, write_json
from pipeline.data import held_out
from pipeline.data.held_out import HeldOut

OURS = (KEPT, "held_out")  # what the folder may hold without a description


def write(sequences: HeldOut, name: str, lengths: Sequence[int]) -> None:
    """Write the sequences of these lengths and task.json; the old files stay until the new ones are complete.

    `name` is that of the task. Raises `UserError` where the folder holds files of somebody else.
    """
    require_ours(sequences.folder)
    digests = {}
    with replaced(sequences.folder) as folder:
        (folder / "held_out").mkdir()
        for length in lengths:
            batch = held_out.draw(sequences.task, sequences.seed, length, sequences.count)
            (folder / held_out.file_name(length)).write_bytes(held_out.encode(batch))
            digests[str(length)] = held_out.digest_of(batch)
        write_json(folder / held_out.DESCRIPTION, describe(sequences, name, digests))


def require_ours(folder: Path) -> None:
    """Raise `UserError` if a folder holds files that `write` did not write, for `write` replaces all of them."""
    if not folder.exists() or (folder / held_out.DESCRIPTION).exists():
        return
    others = [] if not folder.is_dir() else sorted(path.name for path in folder.iterdir() if path.name not in OURS)
    if others or not folder.is_dir():
        raise UserError(
            f"{folder} must be a folder of prepare's own, or empty; got {', '.join(others[:3]) or 'a file'}"
        )


def describe(sequences: HeldOut, name: str, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of task.json; `digests` has the digest of each length's sequences."""
    task = sequences.task
    return {
        "task": name,
        "source": task.source,
        "identity": sequences.identity(),
        "kind": task.kind,
        "chance": task.chance,
        "goal": task.goal,
        "loose_goal": task.loose_goal,
        "channels": task.channels,
        "outputs": task.outputs,
        "answers": task.answers,
        "digest": held_out.combined(digest.encode() for digest in digests.values()),
        "lengths": dict(digests),
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
    }
