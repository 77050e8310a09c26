"""What a command is doing now: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

EVERY = 20.0  # seconds between two plain lines


class Display:
    """Shows one piece of work. `now` may be called at any rate."""

    def __init__(self, title: str, bar: Progress | None) -> None:
        self.title, self._bar, self._last = title, bar, time.monotonic()
        self._task = bar.add_task(title, total=1.0, text="") if bar else None

    def beside(self, title: str) -> "Display":
        """A display for another piece of work that goes on at the same time."""
        return Display(title, self._bar)

    def now(self, share: float, text: str) -> None:
        """Say how much is done, between 0 and 1, and what is happening."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=share, text=text)
        elif time.monotonic() - self._last > EVERY:
            self.say(f"{100 * share:3.0f} % {text}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        if self._bar:
            self._bar.console.print(f"{self.title}: {text}", highlight=False)
        else:
            print(f"{self.title}: {text}", flush=True)


@contextmanager
def display(title: str) -> Iterator[Display]:
    """A display for one piece of work."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Display(title, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} % {task.fields[text]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        yield Display(title, bar)


def duration(seconds: float) -> str:
    """A length of time in words: `45 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
