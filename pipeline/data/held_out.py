"""The held-out sequences: drawn from streams of their own, kept in files, checked by a digest when they are read."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base import deciding
from pipeline.base.errors import UserError
from pipeline.data import streams
from pipeline.tasks.task import Batch, Task, drawn_length

DESCRIPTION = "task.json"


@dataclass(frozen=True)
class HeldOut:
    """The held-out sequences of one task; files where they fit, else drawn again: the bytes are the same."""

    task: Task
    seed: int
    count: int  # sequences for each length
    folder: Path

    def sequences(self, length: int) -> Batch:
        """Return the sequences of one length; raise `UserError` if a file is not what its description says."""
        description = self.description()
        digest = description.get("lengths", {}).get(str(length))
        if digest is None or description["identity"] != self.identity():
            return draw(self.task, self.seed, length, self.count)
        return read(self.folder / file_name(length), digest)

    def prepared(self) -> bool:
        """Return True if the folder has been prepared, with these or other settings."""
        path = self.folder / DESCRIPTION
        return path.exists() or path.is_symlink()  # a link to nothing is a file that can't be read

    def digest(self, length: int) -> str:
        """Return the digest of the sequences of one length."""
        return digest_of(self.sequences(length))

    def digest_of_all(self) -> str:
        """Return the digest of all prepared sequences; if those are of other settings, of what these follow from."""
        description = self.description()
        if description and description["identity"] == self.identity():
            return str(description["digest"])
        return combined([json.dumps(self.identity(), sort_keys=True).encode()])

    def identity(self) -> dict[str, Any]:
        """Return what the sequences depend on, besides the length; goals do not matter."""
        generator = {key: value for key, value in asdict(self.task).items() if key not in ("goal", "loose_goal")}
        code = deciding.digest_of(type(self.task))
        made = {"generator": type(self.task).__qualname__, "code": code, **generator}
        return {**made, "seed": self.seed, "held_out": self.count}

    def description(self) -> dict[str, Any]:
        """Return task.json, or nothing if the folder is not prepared."""
        path = self.folder / DESCRIPTION
        if not self.prepared():
            return {}
        try:
            description: dict[str, Any] = json.loads(path.read_text())
            return {
                "identity": description["identity"],
                "lengths": dict(description["lengths"]),
                "digest": description["digest"],
            }
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{path} is not a task description ({error}); remove its folder to have it made again"
            ) from error


def draw(task: Task, seed: int, length: int, count: int) -> Batch:
    """Return `count` sequences of one length, a pure function of (seed, length).

    They are one batch of the generator: where it draws a length for each batch, all have the one that was drawn.
    """
    random = streams.held_out(seed, length)
    return task.sample(random, drawn_length(task, random, length), count)


def file_name(length: int) -> str:
    """Return where the sequences of one length lie below the task's folder."""
    return f"held_out/{length:05d}.npz"


def encode(batch: Batch) -> bytes:
    """Return the sequences as a compressed .npz; the same bytes for the same sequences."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, inputs=batch.inputs, targets=batch.targets)
    return buffer.getvalue()


def read(path: Path, digest: str) -> Batch:
    """Return the sequences of a file, if they have the digest; nothing is unpickled."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            batch = Batch(arrays["inputs"], arrays["targets"])
    except Exception as error:  # damaged files make numpy, zipfile and zlib raise a dozen kinds
        raise UserError(
            f"{path} can't be read as held-out sequences ({error}); `dvc repro -f prepare` makes it again"
        ) from error
    if digest_of(batch) != digest:
        raise UserError(
            f"{path} does not hold the sequences that {DESCRIPTION} names; `dvc repro -f prepare` makes it again"
        )
    return batch


def digest_of(batch: Batch) -> str:
    """Return SHA-256 over types, shapes and values, first 16 hexadecimal digits."""
    return combined(
        part
        for array in (batch.inputs, batch.targets)
        for part in (str((array.dtype.str, array.shape)).encode(), array.tobytes())
    )


def combined(parts: Iterable[bytes]) -> str:
    """Return one digest over several parts, first 16 hexadecimal digits of SHA-256."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:16]
