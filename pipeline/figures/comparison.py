"""Figures that compare the cells of a grid."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from pipeline.figures.style import COLORS, GREY, MARKERS, canvas, lengths
from pipeline.records.wording import label, phrase


def overview(
    horizons: Sequence[Mapping[str, Any]], again: Mapping[tuple[str, str], Mapping[str, Any]] | None = None
) -> Figure:
    """All horizons with their intervals, a row each; an arrow where it lies beyond the lengths that were tried.

    `again` holds for (task, cell) where the horizon lies when settings are chosen again: a thin line.
    """
    tasks, cells = _unique(horizons, "task"), _unique(horizons, "cell")
    figure, axes = canvas(7.0, 0.9 + 0.32 * len(horizons))
    rows = [(task, cell) for task in tasks for cell in cells]
    positions = {pair: -index - 0.6 * tasks.index(pair[0]) for index, pair in enumerate(rows)}
    for record in horizons:
        place = cells.index(record["cell"]) % len(COLORS)
        pair = record["task"], record["cell"]
        _row(axes, record, positions[pair], COLORS[place], MARKERS[place], (again or {}).get(pair))
    lengths(axes, min(r["length_min"] for r in horizons), 2 * max(r["length_max"] for r in horizons))  # room for words
    axes.set_yticks([positions[pair] for pair in rows], [f"{label(task)} · {label(cell)}" for task, cell in rows])
    axes.tick_params(axis="y", length=0)
    words = f"horizon: length that half of the replicas solve, with {horizons[0]['level']:.0%} interval"
    axes.set(xlabel=words + ("\n(thin line: were the settings chosen again)" if again else ""))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    return figure


def _row(
    axes: Axes, record: Mapping[str, Any], height: float, color: str, marker: str, again: Mapping[str, Any] | None
) -> None:
    """One horizon of the overview."""
    answer = record["t50"]
    lower, upper = _ends(answer, record)
    rightmost = max(lower, upper)
    if again and not again["censored"]:
        ends = _ends(again, record)
        axes.plot(ends, [height, height], color=color, linewidth=1)
        rightmost = max(rightmost, ends[1])
    elif again and not answer["censored"]:
        rightmost = max(rightmost, _arrow(axes, again, record, height, color, 1.0))
    if answer["censored"]:
        _arrow(axes, answer, record, height, color, 1.8)
    else:
        axes.plot([lower, upper], [height, height], color=color, linewidth=5, alpha=0.45, solid_capstyle="butt")
        if answer["median"] is not None:
            axes.plot(answer["median"], height, marker, color=color, markersize=6)
    text: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 8,
        "color": GREY,
        "annotation_clip": False,
    }
    axes.annotate(phrase(answer), (rightmost, height), (22 if answer["censored"] else 7, 0), **text)


def _arrow(
    axes: Axes, answer: Mapping[str, Any], record: Mapping[str, Any], height: float, color: str, width: float
) -> float:
    """Draw a censored horizon, which lies beyond an edge, and return where the arrow ends on the right."""
    lower, upper = _ends(answer, record)
    edge, sign = (lower, 1.25) if answer["censored"] == "above" else (upper, 0.8)
    arrow = {"arrowstyle": "->", "color": color, "linewidth": width}
    axes.annotate("", (edge * sign, height), (edge, height), arrowprops=arrow, annotation_clip=False)
    axes.plot(edge, height, "|", color=color, markersize=9)
    return max(edge, edge * sign)


def _ends(answer: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[float, float]:
    """Both ends of an interval, the limits of the range where they are not known."""
    return float(answer["lower"] or record["length_min"]), float(answer["upper"] or record["length_max"])


def _unique(records: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(record[name] for record in records))


def by_budget(horizons: Sequence[Mapping[str, Any]]) -> Figure:
    """The horizon of each cell on one task against the number of updates allowed; hollow where it is censored."""
    figure, axes = canvas(5.0, 3.4)
    for position, record in enumerate(horizons):
        color, shift = COLORS[position % len(COLORS)], 1.03 ** (position - (len(horizons) - 1) / 2)
        known = [point for point in record["by_budget"] if point["median"] is not None]
        medians = np.array([point["median"] for point in known])
        lower = np.array([point["lower"] or record["length_min"] for point in known])
        upper = np.array([point["upper"] or record["length_max"] for point in known])
        bars: dict[str, Any] = {
            "yerr": [medians - lower, upper - medians],
            "color": color,
            "marker": MARKERS[position % len(MARKERS)],
            "markersize": 4,
            "capsize": 2,
        }
        axes.errorbar([point["budget"] * shift for point in known], medians, label=label(record["cell"]), **bars)
        for point in record["by_budget"]:
            if point["censored"] in ("above", "below"):
                mark, edge = ("^", "length_max") if point["censored"] == "above" else ("v", "length_min")
                axes.plot(point["budget"] * shift, record[edge], mark, color=color, markerfacecolor="none")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    budgets = sorted({point["budget"] for record in horizons for point in record["by_budget"]})
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.set(xlabel="updates allowed", ylabel="horizon", title=label(horizons[0]["task"]))
    axes.legend()
    return figure
