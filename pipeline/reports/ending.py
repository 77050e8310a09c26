"""The last lines of `make repro`: what came out, whether it is what is committed, and where to look.

python -m pipeline.reports.ending
"""

import subprocess
from pathlib import Path

from pipeline.settings.places import ROOT

TABLE = "results/report/horizons.md"
PAGE = "results/report/index.html"
SHOWN = 3  # columns: task, cell, horizon


def lines(root: Path = ROOT) -> list[str]:
    """Return what to print, from the files of the report."""
    rows = [row[:SHOWN] for row in table((root / TABLE).read_text())]
    widths = [max(len(row[column]) for row in rows) for column in range(SHOWN)]
    shown = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    whole = ["the whole table", TABLE], ["the report", PAGE], ["the runs in MLflow", "make ui"]
    return ["", *shown, "", committed(root), *(f"{name:<18}  {place}" for name, place in whole)]


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table of a Markdown text, its head first."""
    rows = [line.strip("| ").split(" | ") for line in text.partition("\n\n")[0].splitlines()]
    return [rows[0], *rows[2:]]


def committed(root: Path) -> str:
    """Return in words whether the table is that of the last commit."""
    command = ["git", "-C", str(root), "status", "--porcelain", "--", TABLE]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "whether the committed table is the same is not known, for git was not found"
    if ended.returncode:
        return "not in git, so there is no committed table to compare with"
    return f"another table than the committed one: git diff {TABLE}" if ended.stdout else "the same table as committed"


if __name__ == "__main__":
    print("\n".join(lines()))
