"""Progress of a command: a bar on a terminal, a plain line now and then elsewhere; and what came out."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

EVERY = 20.0  # seconds between two plain lines
FORESEEABLE = 0.02  # share done from which the time left can be estimated


class Display:
    """Shows one piece of work. `progress` may be called at any rate."""

    def __init__(self, title: str, bar: Progress | None) -> None:
        self.title, self._bar, self._began, self._last = title, bar, time.monotonic(), time.monotonic()
        self._task = bar.add_task(title, total=1.0, text="", answer="", left="") if bar else None

    def beside(self, title: str) -> "Display":
        """Return a display for another piece of work that runs at the same time."""
        return Display(title, self._bar)

    def progress(self, share: float, text: str, answer: str = "", left: str | None = None) -> None:
        """Show how much is done, between 0 and 1, what is happening, the last answer, and the time left in words."""
        if self._bar and self._task is not None:
            left = self._left(share) if left is None else left
            self._bar.update(self._task, completed=share, text=text, answer=answer, left=left)
        elif time.monotonic() - self._last > EVERY:
            parts = [f"{100 * share:3.0f} % {text}", answer, self._left(share) if left is None else left]
            self.print("; ".join(part for part in parts if part))

    def print(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        if self._bar:
            self._bar.console.print(f"{self.title}: {text}", highlight=False)
        else:
            print_line(f"{self.title}: {text}")

    def print_summary(self, rows: Mapping[str, str]) -> None:
        """Print what came out, a row each; what is empty is left out."""
        known = {name: value for name, value in rows.items() if value}
        width = max(map(len, known))
        if not self._bar:
            print_line("\n".join(f"{self.title}: {name:<{width}}  {value}" for name, value in known.items()))
            return
        lines = [Text.assemble((f"  {name:<{width}}", "dim"), f"  {value}\n") for name, value in known.items()]
        text = Text.assemble((f"{self.title}\n", "bold"), *lines, end="")
        self._bar.console.print(text, soft_wrap=True)  # an address is not broken, so that it can be clicked

    def _left(self, share: float) -> str:
        """Return the time left at the speed so far."""
        if share < FORESEEABLE:
            return ""
        return f"about {duration((time.monotonic() - self._began) * (1 - share) / share)} left"


@contextmanager
def open_display(title: str) -> Iterator[Display]:
    """Open a display for one piece of work."""
    if not sys.stderr.isatty():  # rich would also be told by FORCE_COLOR, which notebooks set
        yield Display(title, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:3.0f} %  {task.fields[text]}"),
        TextColumn("[bold]{task.fields[answer]}"),
        TextColumn("{task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Display(title, bar)


def print_line(text: str) -> None:
    """Print a line; if nobody reads the output any more, as after `| head -1`, the work goes on without it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def duration(seconds: float) -> str:
    """Return a length of time in words: `45 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
