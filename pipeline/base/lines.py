"""Plain lines, and one that waits while libraries are imported, for a still terminal looks broken."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CLEAR = "\r\033[K"  # to the start of the line, then nothing to its end
_shown = False


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show a line on a terminal until the block ends, or until somebody has more to say."""
    global _shown
    if sys.stderr.isatty():
        print(text, end="", file=sys.stderr, flush=True)
        _shown = True
    try:
        yield
    finally:
        over()


def over() -> None:
    """Take the line away, if one is shown."""
    global _shown
    if _shown:
        print(CLEAR, end="", file=sys.stderr, flush=True)
        _shown = False


def print_line(text: str) -> None:
    """Print a line; if nobody reads the output any more, as after `| head -1`, the work goes on without it."""
    over()
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
