"""Figures of one search: its answer, its course, and the gradient on both sides of the horizon."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.base.numbers import LOG10_2
from pipeline.figures import style
from pipeline.figures.colors import COLORS
from pipeline.figures.growth import updates_figure
from pipeline.figures.search_data import Course, SolvedShare, course, solved_share
from pipeline.figures.style import GREY, STYLE, canvas, lengths
from pipeline.records.gradients import contrast
from pipeline.records.horizon import HorizonRecord
from pipeline.records.wording import phrase
from pipeline.study.record import TrialRecord


def horizon_figure(share: SolvedShare, horizon: HorizonRecord, title: str) -> Figure:
    """Draw solved share against length with the fitted curve and its band; below, the posterior of the horizon.

    `title` says of which cell and task.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 4.4), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    answer, level = horizon.t50, horizon.level
    axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.fill_between(share.grid, share.lower, share.upper, color=COLORS[0], alpha=0.15, linewidth=0)
    axes.plot(share.grid, share.median, color=COLORS[0], label=f"fitted chance to solve, {level:.0%} band")
    points: dict[str, Any] = {"s": 14 * share.tried, "color": COLORS[1], "zorder": 3, "clip_on": False}
    axes.scatter(share.lengths, share.solved / share.tried, label="replicas that solved", **points)
    _counts(axes, share)
    _interval(axes, horizon)
    _posterior(below, share, horizon)
    lengths(axes, *horizon.range)
    axes.set(ylim=(-0.03, 1.03), ylabel="share of replicas that solve")
    axes.set_title(f"{title}: horizon {phrase(answer)}", pad=12)
    axes.legend(loc="lower left" if _high(horizon) else "upper right", fontsize=8)
    return figure


def course_figure(search: Course, horizon: HorizonRecord, title: str) -> Figure:
    """Draw a search trial by trial: the length that was asked, the share that solved, and the interval after it."""
    figure, axes = canvas(6.0, 3.6)
    trials = np.arange(1, len(search.lengths) + 1)
    level, (shortest, longest) = horizon.level, horizon.range
    lower, upper = np.maximum(search.lower, shortest), np.minimum(search.upper, longest)
    axes.fill_between(trials, lower, upper, color=COLORS[0], alpha=0.15, linewidth=0, label=f"{level:.0%} interval")
    axes.plot(trials, np.clip(search.medians, shortest, longest), color=COLORS[0], label="median")
    points: dict[str, Any] = {"cmap": "cividis", "vmin": 0, "vmax": 1, "edgecolors": GREY, "zorder": 3}
    dots = axes.scatter(trials, search.lengths, c=search.shares, label="trial", **points)
    figure.colorbar(dots, ax=axes, label="share that solved")
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(
        xlabel="trial",
        ylabel="sequence length",
        title=f"{title}: {phrase(horizon.t50)}",
        ylim=(shortest / 1.15, longest * 1.15),
    )
    axes.legend(fontsize=8)
    return figure


def through_time(trials: Sequence[TrialRecord], title: str) -> Figure:
    """Draw ‖∂L/∂h_t‖ over t in a few trials, each at its first (dashed) and last recorded update; see `contrast`."""
    figure, axes = canvas(6.0, 3.6)
    for trial in trials:
        color = COLORS[0] if trial.share >= 0.5 else COLORS[1]
        for line, profile in zip(("--", "-"), trial.profiles, strict=True):
            before_end = np.array(profile.steps) - profile.steps[-1]
            median, least, greatest = (
                LOG10_2 * np.array(band) for band in (profile.median, profile.least, profile.greatest)
            )
            name = f"T = {trial.length}, {trial.score} solved, update {profile.update}"
            axes.plot(before_end, median, color=color, linestyle=line, label=name)
            axes.fill_between(before_end, least, greatest, color=color, alpha=0.12, linewidth=0)
    axes.set(xlabel="step, counted from the end of the sequence", ylabel="log10 ‖∂L/∂h$_t$‖", title=title)
    axes.legend(fontsize=8, loc="best")
    return figure


def _counts(axes: Axes, share: SolvedShare) -> None:
    """Draw how many replicas stand behind each point where some fail; neighbours have theirs on different sides."""
    text: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 7, "color": GREY}
    mixed = [row for row in zip(share.lengths, share.solved, share.tried, strict=True) if 0 < row[1] < row[2]]
    for place, (length, solved, tried) in enumerate(mixed):
        high = solved / tried < 0.1 or (solved / tried < 0.9 and place % 2 == 0)
        axes.annotate(f"{solved}/{tried}", (length, solved / tried), (0, 7 if high else -13), **text)


def _posterior(axes: Axes, share: SolvedShare, horizon: HorizonRecord) -> None:
    """Draw the density of the horizon, and the interval of T90 as a bar."""
    axes.fill_between(share.places, 0, share.density, color=COLORS[0], alpha=0.35, linewidth=0)
    _interval(axes, horizon)
    ninety = horizon.t90
    if not ninety.censored and ninety.lower and ninety.median and ninety.upper:
        height = -0.14 * share.density.max()
        axes.plot([ninety.lower, ninety.upper], [height, height], color=COLORS[3], linewidth=3)
        axes.plot(ninety.median, height, "d", color=COLORS[3], markersize=4)
        text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "va": "center", "color": COLORS[3]}
        axes.annotate("T90", (ninety.upper, height), (4, 0), **text)
    axes.set(yticks=[], ylabel="posterior\nof T50", xlabel="sequence length")
    axes.spines["left"].set_visible(False)


def _interval(axes: Axes, horizon: HorizonRecord) -> None:
    """Draw the horizon as a vertical line in a shaded interval, or nothing where it is censored."""
    if not horizon.t50.censored and horizon.t50.median:
        axes.axvspan(*horizon.t50.within(*horizon.range), color=GREY, alpha=0.12, linewidth=0)
        axes.axvline(horizon.t50.median, color=GREY, linewidth=1)


def _high(horizon: HorizonRecord) -> bool:
    """Return True if the horizon lies in the right half of the axis, so that there is room on the lower left."""
    middle = (horizon.range[0] * horizon.range[1]) ** 0.5
    return horizon.t50.censored == "above" or (horizon.t50.median or 0) > middle


def draw_search(folder: Path, trials: Sequence[TrialRecord], horizon: HorizonRecord, title: str) -> None:
    """Draw horizon.svg, course.svg, updates.svg and gradients.svg."""
    style.save(updates_figure(trials, horizon, title), folder / "updates.svg")
    style.save(horizon_figure(solved_share(trials, horizon), horizon, title), folder / "horizon.svg")
    style.save(course_figure(course(trials, horizon), horizon, title), folder / "course.svg")
    style.save(through_time(contrast(trials, horizon.t50), title), folder / "gradients.svg")
