"""What a command is doing now: a bar on a terminal, a plain line now and then elsewhere; and what came out."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

EVERY = 20.0  # seconds between two plain lines
FORESEEN = 0.02  # share done from which the time left is worth saying


class Display:
    """Shows one piece of work. `now` may be called at any rate."""

    def __init__(self, title: str, bar: Progress | None) -> None:
        self.title, self._bar, self._began, self._last = title, bar, time.monotonic(), time.monotonic()
        self._task = bar.add_task(title, total=1.0, text="", answer="", left="") if bar else None

    def beside(self, title: str) -> "Display":
        """A display for another piece of work that goes on at the same time."""
        return Display(title, self._bar)

    def now(self, share: float, text: str, answer: str = "", left: str | None = None) -> None:
        """Say how much is done, between 0 and 1, what is happening, the last answer, and the time left in words."""
        if self._bar and self._task is not None:
            left = self._left(share) if left is None else left
            self._bar.update(self._task, completed=share, text=text, answer=answer, left=left)
        elif time.monotonic() - self._last > EVERY:
            parts = [f"{100 * share:3.0f} % {text}", answer, self._left(share) if left is None else left]
            self.say("; ".join(part for part in parts if part))

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        if self._bar:
            self._bar.console.print(f"{self.title}: {text}", highlight=False)
        else:
            print(f"{self.title}: {text}", flush=True)

    def summary(self, rows: Mapping[str, str]) -> None:
        """Print what came out, a row each; what is empty is left out."""
        known = {name: value for name, value in rows.items() if value}
        width = max(map(len, known))
        if not self._bar:
            print("\n".join(f"{self.title}: {name:<{width}}  {value}" for name, value in known.items()), flush=True)
            return
        lines = [Text.assemble((f"  {name:<{width}}", "dim"), f"  {value}\n") for name, value in known.items()]
        summary = Text.assemble((f"{self.title}\n", "bold"), *lines, end="")
        self._bar.console.print(summary, soft_wrap=True)  # an address is not broken, so that it can be clicked

    def _left(self, share: float) -> str:
        """The time left at the speed so far."""
        if share < FORESEEN:
            return ""
        return f"about {duration((time.monotonic() - self._began) * (1 - share) / share)} left"


@contextmanager
def display(title: str) -> Iterator[Display]:
    """A display for one piece of work."""
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


def duration(seconds: float) -> str:
    """A length of time in words: `45 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
