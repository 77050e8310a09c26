"""What a user did wrong, in one sentence: the setting, its rule, and the value that broke it."""

import os
import traceback
from pathlib import Path

LONGEST = 200  # signs of a value that a sentence shows


class UserError(Exception):
    """Ends a command with its message, one clear sentence, and a non-zero status; no traceback."""


def require(kept: bool, setting: str, rule: str, value: object) -> None:
    """Raise `UserError` unless the rule is kept: `training.length must be at least 1; got -3`."""
    if not kept:
        raise UserError(f"{setting} {rule}; got {shown(value)}")


def shown(value: object) -> str:
    """A value as a sentence shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its kind where it has none."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)  # its text has the place, which `where` says
    return (text.strip().splitlines() or [type(error).__name__])[0]


def where(error: BaseException, file: str | None = None) -> str:
    """Return the place that raised: `FILE, line 12`, the last line of `file` on the way there if it was passed.

    Without one, the last line outside of installed packages and of Python's own modules. Paths below the working
    folder are relative.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename)}, line {error.lineno}"
    passed = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [place for place in passed if place[0] == file] or [place for place in passed if not _installed(place[0])]
    name, line = (own or passed or [("?", 0)])[-1]
    return f"{_relative(name)}, line {line}"


def _installed(file: str) -> bool:
    return "site-packages" in file or file.startswith(("<", str(Path(os.__file__).parent)))


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
