"""Prepare a task: held-out sequences for every length of the ladder, and task.json, which says what they are.

    python -m pipeline.prepare task=adding

writes data/TASK/. Training sequences are never stored: they are drawn fresh for each update.
"""

import platform
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import KEPT, replaced, write_json
from pipeline.data import held_out
from pipeline.data.held_out import HeldOut
from pipeline.horizon.ladder import ladder
from pipeline.settings import Settings, stage

OURS = (KEPT, "held_out")  # what may be there without a description


def prepare(settings: Settings) -> HeldOut:
    """Write the held-out sequences and their description; the old ones stay until the new ones are complete."""
    sequences = held_out_of(settings)
    require_ours(settings.data_folder)
    digests = {}
    with replaced(settings.data_folder) as folder:
        (folder / "held_out").mkdir()
        for length in lengths(settings):
            batch = held_out.draw(sequences.task, sequences.seed, length, sequences.count)
            (folder / held_out.file_name(length)).write_bytes(held_out.encode(batch))
            digests[str(length)] = held_out.digest_of(batch)
        write_json(folder / held_out.DESCRIPTION, describe(settings, sequences, digests))
    return sequences


def require_ours(folder: Path) -> None:
    """Raise `UserError` where a folder holds files that prepare did not write, for it replaces all that is there."""
    if not folder.exists() or (folder / held_out.DESCRIPTION).exists():
        return
    others = [] if not folder.is_dir() else sorted(path.name for path in folder.iterdir() if path.name not in OURS)
    if others or not folder.is_dir():
        raise UserError(
            f"{folder} must be a folder of prepare's own, or empty; got {', '.join(others[:3]) or 'a file'}"
        )


def lengths(settings: Settings) -> list[int]:
    """The ladder of lengths that a search may ask for."""
    search = settings.search
    return ladder(search.length_min, search.length_max, search.per_octave)


def held_out_of(settings: Settings) -> HeldOut:
    """The held-out sequences of these settings, prepared or not."""
    return HeldOut(settings.task, settings.data.seed, settings.data.held_out, settings.data_folder)


def ensure_prepared(settings: Settings) -> HeldOut:
    """The held-out sequences, prepared first if nothing is there; an experiment's are drawn as needed."""
    sequences = held_out_of(settings)
    return sequences if settings.experiment or sequences.prepared() else prepare(settings)


def describe(settings: Settings, sequences: HeldOut, digests: dict[str, str]) -> dict[str, Any]:
    """The content of task.json."""
    task = sequences.task
    return {
        "task": settings.names["task"],
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
        "lengths": digests,
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
    }


@stage
def main(settings: Settings) -> None:
    """Prepare one task."""
    sequences = prepare(settings)
    count, digest = len(lengths(settings)), sequences.description()["digest"]
    print(f"{settings.data_folder}: {sequences.count} sequences for each of {count} lengths, digest {digest}")


if __name__ == "__main__":
    main()
