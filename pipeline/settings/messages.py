"""What a command says where something was wrong: one sentence."""

import errno
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import yaml

from pipeline.base.errors import UserError, first_line
from pipeline.base.redaction import redacted
from pipeline.settings.known import unknown

# by the disk: no mistake of ours
REFUSED = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),  # something else lies where a folder, or a file, goes
)
SAID: tuple[tuple[str, Callable[..., str]], ...] = (
    (
        r"Could not append to config\. An item is already at '([^']+)'",
        "{} is a setting already, so it takes no + before it".format,
    ),
    (
        r"Could not delete from config\. The value of '([^']+)' is",
        "~{} must have no value behind it, or the one that is there".format,
    ),
    (
        r"Could not delete from config\. '([^']+)' does not exist",
        "~{0} has nothing to take away, for {0} has no value".format,
    ),
    (
        r"(?s)Interpolation key '([^']*)' not found.*full_key: (\S+)",
        "{1} refers to ${{{0}}}, which is not a setting".format,
    ),
    (r"(?s)Key '[^']*' is not in struct.*full_key: (\S+)", unknown),
    (r"Could not (?:override|append to config|delete from config\.) '?([^'\s]*)'?", unknown),
    (
        r"(?s)Error merging override (.*?)\n.*Cannot merge",
        "{!r} can't be set: a group of settings holds names and values".format,
    ),
    (
        "deletion value must be a string .*input_line=('.*?'),",
        "{} can't be read as a setting to take away, like ~training.length".format,
    ),
)
"""What Hydra and OmegaConf say of what only they can judge; `known.require_known` has looked at the rest."""


def fail(sentence: str, status: int = 2) -> NoReturn:
    """End the command with one sentence on standard error."""
    print(f"error: {redacted(sentence)}", file=sys.stderr)
    sys.exit(status)


STOPPED = "stopped before the end; what was there before is kept"
RESUMED = "stopped before the end; finished trials are kept, and the same command resumes after them"
KEEPS_TRIALS = ("search", "sweep", "tune", "retune", "atlas")  # commands


@contextmanager
def exit_on_user_error(command: str = "") -> Iterator[None]:
    """End the command with one sentence where the user, the disk or Ctrl-C ended it."""
    try:
        yield
    except UserError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(RESUMED if command in KEEPS_TRIALS else STOPPED, status=130)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        fail(f"{error.filename or 'a file'} can't be written: {error.strerror}; what was there is kept")


def sentence(error: BaseException) -> str:
    """Say in one sentence what Hydra or OmegaConf said in many lines; their first line where nothing fits better."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}, can't be read as YAML: {error.problem}"
    text = f"{error}\n{error.__cause__ or ''}"
    for pattern, say in SAID:
        if match := re.search(pattern, text):
            return say(*match.groups())
    if (override := getattr(error, "override", None)) is not None:
        return f"{override!r} can't be read as a setting and its value, like training.length=20{_in_quotes(override)}"
    about = getattr(error, "full_key", None)
    return f"{about} can't be used: {first_line(error)}".rstrip(".") if about else first_line(error).rstrip(".")


def _in_quotes(override: str) -> str:
    """Say how to type a value that Hydra's grammar reads in quotes alone, as it does letters beyond ASCII."""
    name, _, value = override.partition("=")
    plain = not value or "'" in value or value.isascii()
    return "" if plain else f"; such letters need quotes in quotes: \"{name}='{value}'\""
