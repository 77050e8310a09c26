"""Writing results so that a failure never leaves half of them, nor takes away those that were there."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

KEPT = ".gitignore"  # DVC's, beside its outs


@contextmanager
def replaced(folder: Path, whole: bool = True) -> Iterator[Path]:
    """An empty folder to write to; if the block ends well its files become those of `folder`, each in one move.

    With `whole` false, other files of the folder stay. What a killed process left of such a folder is cleared away.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            with _locked(folder.parent):
                _clear(folder)
                made = tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent)
                fresh = Path(stack.enter_context(made))
                stack.enter_context(_locked(fresh))
            yield fresh
            _move(fresh, folder, whole)
    except OSError as error:
        if error.filename is None:  # where a disk is full, Python does not say which
            error.filename = str(folder)
        raise


def _move(fresh: Path, folder: Path, whole: bool) -> None:
    made = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for path in sorted(made):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(folder / path)
    for path in {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - made:
        if whole and path.name != KEPT:
            (folder / path).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the system's lock on a folder, which ends with this process; false where the file system has no locks.

    Raises `BlockingIOError` where another process has it and `wait` is false.
    """
    opened, held = os.open(folder, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            held = False
        yield held
    finally:
        os.close(opened)


def _clear(folder: Path) -> None:
    """Remove the fresh folders of processes that were killed; a living one holds its lock."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        with suppress(OSError), _locked(path, wait=False) as held:
            if held:
                shutil.rmtree(path)


def digest(*parts: bytes | str | Path, digits: int = 16) -> str:
    """Return the first digits of the SHA-256 of all parts joined: bytes, text, or the content of a file."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part)
    return total.hexdigest()[:digits]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, readable, the same bytes for the same content."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
