"""Figures of growth: the horizon against the budget, and the updates that solving takes against length."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from pipeline.figures.colors import COLORS
from pipeline.figures.style import GREY, canvas, look
from pipeline.horizon.estimate import AtBudget, Estimate
from pipeline.records.horizon import HorizonRecord
from pipeline.records.labels import label
from pipeline.records.wording import growth_phrase, law_phrase
from pipeline.study.record import TrialRecord

Labels: TypeAlias = Mapping[str, str]  # of the cells, by their names
APART = 1.02  # factor between the budgets at which neighbouring cells are drawn, so that bars don't hide each other
FAR = 8.0  # a foreseen interval is drawn up to so many times the longest measured horizon


def by_budget(horizons: Sequence[HorizonRecord], labels: Labels, again: Mapping[str, Estimate] | None = None) -> Figure:
    """Draw the horizon of each cell on one task against the updates allowed, with its band; dashed: foreseen.

    Hollow where it is censored, or where nothing but a lower end of it is known. `again` holds for a pair where its
    horizon lies when settings are chosen again: a thin bar at the whole budget.
    """
    figure, axes = canvas(5.6, 3.8)
    ends = [each for record in horizons for point in record.by_budget for each in point.ends.values()]
    ends += [float(record.length_min) for record in horizons]
    for position, record in enumerate(horizons):
        shift = APART ** (position - (len(horizons) - 1) / 2)
        _measured(axes, record, labels[record.cell], look(position), shift)
        _foreseen(axes, record, look(position)[0], FAR * max(ends))
        luck = (again or {}).get(record.pair)
        if luck and not luck.censored:
            color = look(position)[0]
            axes.plot([record.budget * shift] * 2, luck.within(*record.range), color=color, linewidth=1, zorder=1)
    budgets = sorted({point.budget for record in horizons for point in (*record.by_budget, *record.foreseen)})
    _log10(axes)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.set_ylim(min(ends) / 1.2, None)
    words = "updates allowed" + ("  (dashed: foreseen)" if any(each.foreseen for each in horizons) else "")
    axes.set(xlabel=words, ylabel="horizon T50", title=label(horizons[0].task))
    figure.legend(fontsize=8, loc="outside lower center", frameon=False)
    return figure


def _measured(axes: Axes, record: HorizonRecord, name: str, looks: tuple[str, str], shift: float) -> None:
    (color, marker), known = looks, [point for point in record.by_budget if point.median is not None]
    budgets = [point.budget for point in known]
    lower, upper = np.array([point.within(*record.range) for point in known]).reshape(-1, 2).T
    axes.fill_between(budgets, lower, upper, color=color, alpha=0.15, linewidth=0)
    gained = growth_phrase(record)
    words = name if gained == "–" else f"{name}: last doubling {gained}"
    axes.plot(
        budgets, [point.median or 0.0 for point in known], marker, color=color, linestyle="-", markersize=4, label=words
    )
    for point in record.by_budget:
        at_least = point.median is None and point.lower is not None  # above, or nothing but a lower end is known
        if at_least or point.censored == "below":
            limits = point.within(*record.range)
            mark, edge = ("^", limits[0]) if at_least else ("v", limits[1])
            axes.plot(point.budget * shift, edge, mark, color=color, markerfacecolor="none")


def _foreseen(axes: Axes, record: HorizonRecord, color: str, most: float) -> None:
    points: list[AtBudget] = [*record.by_budget[-1:], *record.foreseen]
    if len(points) < 2 or points[0].median is None:
        return
    budgets = [point.budget for point in points]
    axes.plot(budgets, [point.median or 0.0 for point in points], color=color, linestyle="--", linewidth=1)
    lower, upper = np.array([point.within(*record.range) for point in points]).T
    axes.fill_between(budgets, lower, np.minimum(upper, most), color=color, alpha=0.06, linewidth=0)


def updates_figure(trials: Sequence[TrialRecord], horizon: HorizonRecord, title: str) -> Figure:
    """Draw the updates to solve of every seed against length; arrows where a seed did not solve; the fitted law."""
    figure, axes = canvas(6.0, 3.6)
    rows = [(trial.length, place, update) for trial in trials for place, update in enumerate(trial.updates)]
    beside = {row: 1 + 0.012 * (row[1] - 3.5) for row in rows}  # seeds of a trial stand side by side
    solved = [row for row in rows if row[2] is not None]
    dots: dict[str, Any] = {"s": 12, "alpha": 0.6, "linewidths": 0, "zorder": 3}
    places, updates = [row[0] * beside[row] for row in solved], [float(row[2] or 0) for row in solved]
    axes.scatter(places, updates, color=COLORS[0], label="solved", **dots)
    failed = [row for row in rows if row[2] is None]
    top = [horizon.budget * (1.06 + 0.05 * (row[1] % 8)) for row in failed]
    more: dict[str, Any] = {"marker": "^", "s": 16, "facecolors": "none", "linewidths": 0.8, "zorder": 3}
    words = f"not solved in {horizon.budget} updates"
    axes.scatter([row[0] * beside[row] for row in failed], top, edgecolors=COLORS[1], label=words, **more)
    if law := horizon.learning_time:
        lengths = np.geomspace(*horizon.range, 50)
        line = np.array([law.updates(float(length)) for length in lengths])
        shown = line <= 1.5 * horizon.budget
        axes.plot(lengths[shown], line[shown], color=GREY, linewidth=1, label=law_phrase(horizon))
    axes.axhline(horizon.budget, color=GREY, linewidth=0.6, linestyle=":")
    _log10(axes)
    axes.set(xlabel="sequence length", ylabel="updates to solve", title=title)
    axes.legend(fontsize=8)
    return figure


def _log10(axes: Axes) -> None:
    """Put both axes on a log10 scale, with plain numbers at 1, 2, 5."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:g}")
