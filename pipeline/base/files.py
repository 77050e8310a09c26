"""Writing results so that a failure never leaves half of them, nor takes away those that were there."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from filelock import FileLock

from pipeline.base.errors import UserError

KEPT = ".gitignore"  # DVC's, beside its outs
LOCK = ".lock"


def require_writable(folder: Path) -> None:
    """Raise `UserError` where a folder can't be made or written to; asked before the work whose files go there."""
    for place in (folder.parent, folder):
        try:
            if place == folder.parent:
                place.mkdir(parents=True, exist_ok=True)
            if place.exists():
                tempfile.TemporaryFile(dir=place).close()
        except OSError as error:
            raise UserError(f"{place} can't be written: {error.strerror}") from error


@contextmanager
def replaced(folder: Path, whole: bool = True) -> Iterator[Path]:
    """Yield an empty folder; if the block ends well its files become those of `folder`, each in one move.

    With `whole` false, other files of the folder stay. What a killed process left of such a folder is cleared away.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        _clear(folder)
        with _fresh(folder) as fresh:
            yield fresh
            _move(fresh, folder, whole)
    except OSError as error:
        if error.filename is None:  # where a disk is full, Python does not say which
            error.filename = str(folder)
        raise


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Make an empty folder beside another one, and hold its lock, which was there first, until it is gone."""
    fresh = folder.with_name(f".{folder.name}-{token_hex(4)}")
    with FileLock(_lock_of(fresh)):
        try:
            fresh.mkdir()
            yield fresh
        finally:
            _remove(fresh)


def _move(fresh: Path, folder: Path, whole: bool) -> None:
    made = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for path in sorted(made):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(folder / path)
    for path in {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - made:
        if whole and path.name != KEPT:
            (folder / path).unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove the fresh folders of processes that were killed; a living process holds the lock of its own."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        fresh = path.with_suffix("") if path.suffix == LOCK else path
        with suppress(OSError), FileLock(_lock_of(fresh), timeout=0):  # `Timeout` is an OSError
            _remove(fresh)


def _remove(fresh: Path) -> None:
    shutil.rmtree(fresh, ignore_errors=True)
    _lock_of(fresh).unlink(missing_ok=True)


def _lock_of(fresh: Path) -> Path:
    return fresh.with_name(fresh.name + LOCK)


def digest(*parts: bytes | str | Path, digits: int = 16) -> str:
    """Return the first digits of the SHA-256 of all parts joined: bytes, text, or the content of a file."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part)
    return total.hexdigest()[:digits]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, readable, the same bytes for the same content."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
