"""Figures of one search: its answer, its course, and the gradient on both sides of the horizon."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.base.numbers import LOG10_2
from pipeline.figures.search_data import Course, SolvedShare
from pipeline.figures.style import COLORS, GREY, STYLE, canvas, lengths
from pipeline.records.wording import label, phrase


def horizon_figure(share: SolvedShare) -> Figure:
    """Solved share against length with the fitted curve and its band; below, the posterior of the horizon."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 4.4), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    answer, level = share.horizon["t50"], share.horizon["level"]
    axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.fill_between(share.grid, share.lower, share.upper, color=COLORS[0], alpha=0.15, linewidth=0)
    axes.plot(share.grid, share.median, color=COLORS[0], label=f"fitted chance to solve, {level:.0%} band")
    points: dict[str, Any] = {"s": 14 * share.tried, "color": COLORS[1], "zorder": 3, "clip_on": False}
    axes.scatter(share.lengths, share.solved / share.tried, label="replicas that solved", **points)
    _counts(axes, share)
    _interval(axes, answer, share.horizon)
    _posterior(below, share)
    lengths(axes, share.horizon["length_min"], share.horizon["length_max"])
    axes.set(ylim=(-0.03, 1.03), ylabel="share of replicas that solve")
    axes.set_title(f"{label(share.cell)} on {label(share.task)}: horizon {phrase(answer)}", pad=12)
    axes.legend(loc="lower left" if _high(answer, share.horizon) else "upper right", fontsize=8)
    return figure


def course_figure(search: Course) -> Figure:
    """A search trial by trial: the length that was asked, the share that solved, and the interval after it."""
    figure, axes = canvas(6.0, 3.6)
    trials = np.arange(1, len(search.lengths) + 1)
    level, record = search.horizon["level"], search.horizon
    shortest, longest = record["length_min"], record["length_max"]
    lower, upper = np.maximum(search.lower, shortest), np.minimum(search.upper, longest)
    axes.fill_between(trials, lower, upper, color=COLORS[0], alpha=0.15, linewidth=0, label=f"{level:.0%} interval")
    axes.plot(trials, np.clip(search.medians, shortest, longest), color=COLORS[0], label="median")
    points: dict[str, Any] = {"cmap": "cividis", "vmin": 0, "vmax": 1, "edgecolors": GREY, "zorder": 3}
    dots = axes.scatter(trials, search.lengths, c=search.shares, label="trial", **points)
    figure.colorbar(dots, ax=axes, label="share that solved")
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = f"{label(record['cell'])} on {label(record['task'])}: {phrase(record['t50'])}"
    axes.set(xlabel="trial", ylabel="sequence length", title=title, ylim=(shortest / 1.15, longest * 1.15))
    axes.legend(fontsize=8)
    return figure


def through_time(profiles: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """‖∂L/∂h_t‖ over t at a few lengths, each at its first and last recorded update; see `contrast`."""
    figure, axes = canvas(6.0, 3.6)
    for profile in profiles:
        color = COLORS[0] if profile["solved"] else COLORS[1]
        first = profile["when"] == "first"
        before_end = profile["steps"] - profile["steps"].max()
        name = f"T = {profile['length']}, {profile['share']} solved, update {profile['update']}"
        axes.plot(before_end, LOG10_2 * profile["median"], color=color, linestyle="--" if first else "-", label=name)
        axes.fill_between(
            before_end, LOG10_2 * profile["least"], LOG10_2 * profile["greatest"], color=color, alpha=0.12, linewidth=0
        )
    axes.set(xlabel="step, counted from the end of the sequence", ylabel="log10 ‖∂L/∂h$_t$‖", title=title)
    axes.legend(fontsize=8, loc="best")
    return figure


def _counts(axes: Axes, share: SolvedShare) -> None:
    """How many replicas stand behind each point where some fail; neighbours have theirs on different sides."""
    text: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 7, "color": GREY}
    mixed = [row for row in zip(share.lengths, share.solved, share.tried, strict=True) if 0 < row[1] < row[2]]
    for place, (length, solved, tried) in enumerate(mixed):
        high = solved / tried < 0.1 or (solved / tried < 0.9 and place % 2 == 0)
        axes.annotate(f"{solved}/{tried}", (length, solved / tried), (0, 7 if high else -13), **text)


def _posterior(axes: Axes, share: SolvedShare) -> None:
    """The density of the horizon, and the interval of T90 as a bar."""
    axes.fill_between(share.places, 0, share.density, color=COLORS[0], alpha=0.35, linewidth=0)
    _interval(axes, share.horizon["t50"], share.horizon)
    ninety = share.horizon["t90"]
    if not ninety["censored"] and ninety["lower"] and ninety["upper"]:
        height = -0.14 * share.density.max()
        axes.plot([ninety["lower"], ninety["upper"]], [height, height], color=COLORS[3], linewidth=3)
        axes.plot(ninety["median"], height, "d", color=COLORS[3], markersize=4)
        text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "va": "center", "color": COLORS[3]}
        axes.annotate("T90", (ninety["upper"], height), (4, 0), **text)
    axes.set(yticks=[], ylabel="posterior\nof T50", xlabel="sequence length")
    axes.spines["left"].set_visible(False)


def _interval(axes: Axes, answer: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """The horizon as a vertical line in a shaded interval, or nothing where it is censored."""
    lower, upper = answer["lower"] or record["length_min"], answer["upper"] or record["length_max"]
    if not answer["censored"] and answer["median"]:
        axes.axvspan(lower, upper, color=GREY, alpha=0.12, linewidth=0)
        axes.axvline(answer["median"], color=GREY, linewidth=1)


def _high(answer: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether the horizon lies in the right half of the axis, so that there is room on the lower left."""
    middle = (record["length_min"] * record["length_max"]) ** 0.5
    return bool(answer["censored"] == "above" or (answer["median"] or 0) > middle)
