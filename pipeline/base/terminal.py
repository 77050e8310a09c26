"""Progress of a command: a line on a terminal, a plain line now and then elsewhere; and what came out."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import wrap

from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from pipeline.base.lines import over, print_line

EVERY = 20.0  # seconds between two plain lines
FORESEEABLE = 0.02  # share done from which the time left can be estimated
BAR = 10  # columns
EMPTY = ("", "–")  # of a summary


class Line(ProgressColumn):
    """One line of one piece of work, never wider than the terminal: what matters least is left out first."""

    def __init__(self, console: Console) -> None:
        super().__init__(Column(no_wrap=True))
        self.console = console

    def render(self, task: Task) -> Text:
        """Return the line: title, bar, share, what is happening, the answer so far, the time left, the time gone."""
        done = round(BAR * task.completed)
        head = [(f"{task.description} ", ""), ("━" * done, "green"), ("━" * (BAR - done), "dim")]
        parts = {name: str(task.fields[name]) for name in ("text", "answer", "left")}
        parts["gone"] = duration(task.elapsed or 0.0)
        for dropped in ("", "gone", "left", "answer"):
            parts.pop(dropped, None)
            words = " · ".join(part for part in parts.values() if part)
            line = Text.assemble(*head, f" {task.percentage:3.0f}%  {words}")
            if line.cell_len < self.console.width:
                break
        line.truncate(self.console.width - 1, overflow="ellipsis")
        return line


@dataclass
class Table:
    """Lines in columns, whose heads are said once."""

    heads: tuple[str, ...] = ()
    widths: dict[str, int] = field(default_factory=dict)

    def lines(self, row: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return a row, below the heads of its columns where they are new, each with its style."""
        fresh = self.heads != tuple(row)
        if fresh:
            self.heads = tuple(row)
            self.widths = {name: max(len(name), len(value)) for name, value in row.items()}
        heads = [(self._line({name: name for name in row}), "dim")] if fresh else []
        return [*heads, (self._line(row), "")]

    def _line(self, row: Mapping[str, str]) -> str:
        *cells, last = (f"{value:>{self.widths[name]}}" for name, value in row.items())
        return "  ".join(["", *cells, last.strip()]).rstrip()


class Display:
    """Shows one piece of work. `progress` may be called at any rate."""

    def __init__(self, title: str, bar: Progress | None, beside: "Display | None" = None) -> None:
        self.title, self._bar, self._began, self._last = title, bar, time.monotonic(), time.monotonic()
        self._task = bar.add_task(title, total=1.0, text="begins", answer="", left="") if bar else None
        self._said = False
        self._among = beside is not None
        self._table: Table = beside._table if beside else Table()

    def beside(self, title: str) -> "Display":
        """Return a display for another piece of work that runs at the same time."""
        return Display(title, self._bar, self)

    def progress(self, share: float, text: str, answer: str = "", left: str | None = None) -> None:
        """Show how much is done, between 0 and 1, what is happening, the last answer, and the time left in words."""
        if self._bar and self._task is not None:
            left = self._left(share) if left is None else left
            self._bar.update(self._task, completed=share, text=text, answer=answer, left=left)
        elif time.monotonic() - self._last > EVERY:
            parts = [f"{100 * share:3.0f} % {text}", answer, self._left(share) if left is None else left]
            self.print("; ".join(part for part in parts if part))

    def doing(self, text: str) -> None:
        """Show what is happening while nobody can say how much is done; on a terminal only, for it takes seconds."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, text=text)

    def row(self, cells: Mapping[str, str], sentence: str) -> None:
        """Print a line that stays: the cells in columns on a terminal, the sentence elsewhere."""
        if not self._bar:
            self.print(sentence)
            return
        self._say_title(self._bar)
        for line, style in self._table.lines({"search": self.title, **cells} if self._among else cells):
            self._bar.console.print(Text(line, style), soft_wrap=True)

    def print(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        if self._bar:
            self._say_title(self._bar)
            line = Text(f"{self.title}: {text}" if self._among else text)
            self._bar.console.print(Padding(line, (0, 0, 0, 2)))
        else:
            print_line(f"{self.title}: {text}")

    def print_summary(self, rows: Mapping[str, str]) -> None:
        """Print what came out, a row each; what is empty is left out."""
        known = {name: value for name, value in rows.items() if value not in EMPTY}
        width = max(map(len, known))
        if not self._bar or self._task is None:
            print_line("\n".join(f"{self.title}: {name:<{width}}  {value}" for name, value in known.items()))
            return
        self._bar.update(self._task, visible=False)
        room = max(self._bar.console.width - width - 5, 20)
        folded = {name: _folded(value, room, width + 4) for name, value in known.items()}
        lines = [Text.assemble((f"  {name:<{width}}", "dim"), f"  {value}\n") for name, value in folded.items()]
        self._say_title(self._bar)
        text = Text.assemble(f"{self.title}\n" if self._among else "\n", *lines, end="")
        self._bar.console.print(text, soft_wrap=True)  # an address is not broken, so that it can be clicked

    def _say_title(self, bar: Progress) -> None:
        """Print the title of the one piece of work above its first line; among others each line names its own."""
        if not self._among and not self._said:
            bar.console.print(Text(self.title, "bold"))
        self._said = True

    def _left(self, share: float) -> str:
        """Return the time left at the speed so far, which is the most that it may be where work may end early."""
        if share < FORESEEABLE:
            return ""
        return f"up to {duration((time.monotonic() - self._began) * (1 - share) / share)} left"


@contextmanager
def open_display(title: str) -> Iterator[Display]:
    """Open a display for one piece of work; on a terminal its line is gone at the end."""
    over()
    if not sys.stderr.isatty():  # rich would also be told by FORCE_COLOR, which notebooks set
        yield Display(title, None)
        return
    console = Console(stderr=True)
    with Progress(Line(console), console=console, transient=True) as bar:
        yield Display(title, bar)


def _folded(value: str, room: int, indent: int) -> str:
    """Return a value in lines that fit; a path and an address stay whole, for they are to be copied."""
    if "/" in value:
        return value
    return f"\n{' ' * indent}".join(wrap(value, room, break_long_words=False, break_on_hyphens=False))


def duration(seconds: float) -> str:
    """Return a length of time in words: `45 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def duration_range(least: float, most: float) -> str:
    """Return two lengths of time in words, the unit once: `2 to 5 min`."""
    first, last = duration(least), duration(most)
    same = first.partition(" ")[2] == last.partition(" ")[2]
    return last if first == last else f"{first.partition(' ')[0] if same else first} to {last}"
