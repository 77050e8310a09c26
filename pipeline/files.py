"""Writing results so that a failure never leaves half of them, nor takes away those that were there."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEPT = ".gitignore"  # DVC's, beside its outs


@contextmanager
def replaced(folder: Path, whole: bool = True) -> Iterator[Path]:
    """An empty folder to write to; if the block ends well its files become those of `folder`, each in one move.

    With `whole` false, other files of the folder stay.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as name:
        fresh = Path(name)
        yield fresh
        made = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
        for path in sorted(made):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).replace(folder / path)
        for path in {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - made:
            if whole and path.name != KEPT:
                (folder / path).unlink()


def digest(path: Path) -> str:
    """SHA-256 of a file's content, 16 digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, readable, the same bytes for the same content."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
