"""Figures that compare the cells of a grid."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.style import GREY, canvas, lengths, look
from pipeline.horizon.estimate import Estimate
from pipeline.records.horizon import HorizonRecord
from pipeline.records.labels import label
from pipeline.records.wording import phrase

WIDE = 5.6  # inches: on a telephone the words are then half as large, and can still be read

Labels: TypeAlias = Mapping[str, str]  # of the cells, by their names


def overview(horizons: Sequence[HorizonRecord], labels: Labels, again: Mapping[str, Estimate] | None = None) -> Figure:
    """Draw all horizons with their intervals, a row each; an arrow where it lies beyond the lengths that were tried.

    `again` holds for a pair where the horizon lies when settings are chosen again: a thin line.
    """
    tasks, cells = (list(dict.fromkeys(getattr(each, of) for each in horizons)) for of in ("task", "cell"))
    figure, axes = canvas(WIDE, 0.9 + 0.32 * (len(horizons) + len(tasks)))
    rows = [(task, cell) for task in tasks for cell in cells]
    positions = {pair: -index - 1.4 * tasks.index(pair[0]) for index, pair in enumerate(rows)}
    for record in horizons:
        height = positions[record.task, record.cell]
        _row(axes, record, height, look(cells.index(record.cell)), (again or {}).get(record.pair))
    lengths(axes, min(each.length_min for each in horizons), 2 * max(each.range[1] for each in horizons))  # for words
    heading: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "weight": "bold", "annotation_clip": False}
    for task in tasks:
        axes.annotate(label(task), (0.02, positions[task, cells[0]] + 1), va="center", **heading)
    axes.set_xticks([4**power for power in range(1, 16) if 4**power <= axes.get_xlim()[1]])
    axes.set_yticks([positions[pair] for pair in rows], [labels[cell] for _, cell in rows])
    axes.set_ylim(min(positions.values()) - 0.7, max(positions.values()) + 1.5)
    axes.tick_params(axis="y", length=0)
    words = f"horizon: length that half of the replicas solve, with {horizons[0].level:.0%} interval"
    axes.set(xlabel=words + ("\n(thin line: with the luck of tuning)" if again else ""))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    return figure


def _row(axes: Axes, record: HorizonRecord, height: float, looks: tuple[str, str], again: Estimate | None) -> None:
    """One horizon of the overview."""
    answer, (color, marker) = record.t50, looks
    lower, upper = _ends(answer, record)
    rightmost = max(lower, upper)
    if again and not again.censored:
        ends = _ends(again, record)
        axes.plot(ends, [height, height], color=color, linewidth=1)
        rightmost = max(rightmost, ends[1])
    elif again and not answer.censored:
        rightmost = max(rightmost, _arrow(axes, again, record, height, color, 1.0))
    if answer.censored:
        _arrow(axes, answer, record, height, color, 1.8)
    else:
        axes.plot([lower, upper], [height, height], color=color, linewidth=5, alpha=0.45, solid_capstyle="butt")
        if answer.median is not None:
            axes.plot(answer.median, height, marker, color=color, markersize=6)
        if answer.upper is None and answer.lower is not None:  # the search ended before it had an upper end
            rightmost = max(rightmost, _pointer(axes, upper, 1.25, height, color, 1.8))
    text: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 9,
        "color": GREY,
        "annotation_clip": False,
    }
    axes.annotate(phrase(answer), (rightmost, height), (22 if answer.censored else 7, 0), **text)


def _arrow(axes: Axes, answer: Estimate, record: HorizonRecord, height: float, color: str, width: float) -> float:
    """Draw a censored horizon, which lies beyond an edge, and return where the arrow ends on the right."""
    lower, upper = _ends(answer, record)
    edge, sign = (lower, 1.25) if answer.censored == "above" else (upper, 0.8)
    axes.plot(edge, height, "|", color=color, markersize=9)
    return max(edge, _pointer(axes, edge, sign, height, color, width))


def _pointer(axes: Axes, edge: float, sign: float, height: float, color: str, width: float) -> float:
    """Draw an arrow from an edge to `sign` times it, and return where it ends."""
    arrow = {"arrowstyle": "->", "color": color, "linewidth": width}
    axes.annotate("", (edge * sign, height), (edge, height), arrowprops=arrow, annotation_clip=False)
    return edge * sign


def _ends(answer: Estimate, record: HorizonRecord) -> tuple[float, float]:
    return answer.within(*record.range)
