"""The atlas as a picture: cells against tasks, the horizon as a color with its number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.figures.colors import DARK, ink, ramp
from pipeline.figures.style import GREY, canvas

LINE = "#b0b0b0"
ARROWS = {"above": "↑", "below": "↓"}
LEGEND = "length that half of the seeds solve   ↑ ↓ beyond the lengths tried   ∅ cannot be represented   empty: not run"


@dataclass(frozen=True)
class Square:
    """One pair as the picture shows it."""

    horizon: float | None = None  # the median, or the limit beyond which it lies
    censored: str = ""  # above or below
    cannot: bool = False  # the cell can't represent the task
    mark: str = ""  # why it fails, in one sign

    @property
    def text(self) -> str:
        """What stands in it: a number with its arrow and its mark."""
        if self.horizon is None:
            return ""
        number = f"{self.horizon:.1f}" if self.horizon < 10 else f"{self.horizon:.0f}"
        return " ".join(filter(None, [ARROWS.get(self.censored, "") + number, "∅" if self.cannot else self.mark]))


def color_of(square: Square, longest: float) -> str:
    """Return the color of a pair that was searched, by the logarithm of its horizon."""
    assert square.horizon is not None
    return ramp(log2(max(square.horizon, 1.0)) / log2(max(longest, 2.0)))


def draw_atlas(
    rows: Sequence[str],
    columns: Sequence[str],
    squares: Mapping[tuple[str, str], Square],
    own: str | None = None,
    note: str = LEGEND,
) -> Figure:
    """Draw cells against tasks, the first row on top; `own` is a row with a frame around it."""
    figure, axes = canvas(1.7 + 1.15 * len(columns), 1.0 + 0.27 * len(rows))
    longest = max((each.horizon for each in squares.values() if each.horizon), default=2.0)
    for (row, column), square in squares.items():
        _square(axes, columns.index(column), rows.index(row), square, longest)
    if own in rows:
        frame = {"fill": False, "edgecolor": DARK, "linewidth": 2.0, "clip_on": False}
        axes.add_patch(Rectangle((-0.5, rows.index(own) - 0.5), len(columns), 1, **frame))  # type: ignore[arg-type]
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(note, fontsize=8, color=GREY)
    return figure


def _square(axes: Axes, column: int, row: int, square: Square, longest: float) -> None:
    searched = square.horizon is not None
    fill = color_of(square, longest) if searched and not square.cannot else "none"
    corner = (column - 0.47, row - 0.44)
    axes.add_patch(
        Rectangle(corner, 0.94, 0.88, facecolor=fill, edgecolor=LINE, linewidth=0.6, hatch="////" * square.cannot)
    )
    text = {"ha": "center", "va": "center", "fontsize": 8}
    axes.text(column, row, square.text, color="#000000" if fill == "none" else ink(fill), **text)  # type: ignore[arg-type]
