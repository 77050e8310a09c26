"""How every figure looks, and how it is saved: the same data give the same bytes."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from pipeline.figures.colors import COLORS

MARKERS = ("o", "s", "D", "^", "v", "P")  # a cell is told by its shape as well as by its colour

GREY = "#666666"

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "legend.frameon": False,
    "svg.hashsalt": "horizon",
    "svg.fonttype": "none",  # words stay words: small files, read aloud, and in the colours of the page
    "font.family": "sans-serif",
}


def look(position: int) -> tuple[str, str]:
    """Return colour and marker of the cell at this place of the grid; the first 36 differ from each other."""
    colors, markers = len(COLORS), len(MARKERS)
    return COLORS[position % colors], MARKERS[(position + position // colors) % markers]


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the file holds no date."""
    for legend in (axes.get_legend() for axes in figure.axes):
        if legend:
            legend.set_frame_on(False)
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {}, dpi=150)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of one panel; sizes in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def lengths(axes: Axes, shortest: int, longest: int) -> None:
    """Draw a log2 axis of lengths with plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(shortest / 1.15, longest * 1.15)
    powers = [2**power for power in range(20) if shortest <= 2**power <= longest]
    axes.xaxis.set_major_locator(FixedLocator(powers))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
