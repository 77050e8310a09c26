"""A pseudo-terminal that remembers what stands on it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

CONTROL = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])")


class Screen:
    """What stands on a terminal after some output: the controls that rich and we use, and lines that wrap."""

    def __init__(self, columns: int) -> None:
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0
        self.ever: list[str] = []  # lines that stood there at some moment
        self.wrapped: list[str] = []  # that were wider than the terminal

    def feed(self, text: str) -> None:
        """Take some output."""
        at = 0
        for match in CONTROL.finditer(text):
            self.write(text[at : match.start()])
            self.control(match[1] or "", match[2] or match[3])
            at = match.end()
        self.write(text[at:])

    def write(self, text: str) -> None:
        """Write over what stands at the cursor."""
        if not text:
            return
        line = self.lines[self.row].ljust(self.column)
        line = line[: self.column] + text + line[self.column + len(text) :]
        self.column += len(text)
        if len(line) > self.columns:
            self.wrapped.append(line)
        self.lines[self.row] = line
        self.ever.append(line)

    def control(self, number: str, what: str) -> None:
        """Move the cursor, or clear."""
        if what == "\r":
            self.column = 0
        elif what == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif what == "A":
            self.row = max(self.row - int(number or 1), 0)
        elif what == "K":
            self.lines[self.row] = "" if number == "2" else self.lines[self.row][: self.column]
        elif what not in "mhl":
            raise AssertionError(f"not known: {number}{what}")

    @property
    def text(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self.lines if line.strip()]


def frames(command: Sequence[str], columns: int, cwd: Path, environment: dict[str, str]) -> Iterator[Screen]:
    """Run a command on a terminal of so many columns; yield the screen after each piece of output."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command, cwd=cwd, env=known | {"TERM": "xterm"} | environment, stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    screen = Screen(columns)
    with os.fdopen(outside, "rb", buffering=0) as output:
        while piece := _read(output.fileno()):
            screen.feed(piece.decode(errors="replace").replace("\r\n", "\n\r"))
            yield screen
    assert process.wait(60) == 0, screen.text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so at the end
        return b""
