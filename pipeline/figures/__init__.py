"""Every picture, from arrays and records; the only place that knows matplotlib. The same data give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy import ndarray

from pipeline.base.numbers import LOG10_2
from pipeline.records import Course, SolvedShare, phrase

COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # Okabe & Ito 2008: safe for colour blindness
MARKERS = ("o", "s", "D", "^", "v", "P")  # a cell is told by its shape as well as by its colour
GREY = "#666666"
REACHES = {1.0: "1", 2.0: "2", 4.0: "4", 10.0: "10", np.inf: "∞"}  # steps, and how an axis says it
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


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the file holds no date."""
    for legend in (axes.get_legend() for axes in figure.axes):
        if legend:
            legend.set_frame_on(False)
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {}, dpi=150)


def horizon(share: SolvedShare) -> Figure:
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
    _lengths(axes, share.horizon["length_min"], share.horizon["length_max"])
    axes.set(ylim=(-0.03, 1.03), ylabel="share of replicas that solve")
    axes.set_title(f"{label(share.cell)} on {label(share.task)}: horizon {phrase(answer)}", pad=12)
    axes.legend(loc="lower left" if _high(answer, share.horizon) else "upper right", fontsize=8)
    return figure


def course(search: Course) -> Figure:
    """A search trial by trial: the length that was asked, the share that solved, and the interval after it."""
    figure, axes = _canvas(6.0, 3.6)
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


def overview(
    horizons: Sequence[Mapping[str, Any]], again: Mapping[tuple[str, str], Mapping[str, Any]] | None = None
) -> Figure:
    """All horizons with their intervals, a row each; an arrow where it lies beyond the lengths that were tried.

    `again` holds for (task, cell) where the horizon lies when settings are chosen again: a thin line.
    """
    tasks, cells = _unique(horizons, "task"), _unique(horizons, "cell")
    figure, axes = _canvas(7.0, 0.9 + 0.32 * len(horizons))
    rows = [(task, cell) for task in tasks for cell in cells]
    positions = {pair: -index - 0.6 * tasks.index(pair[0]) for index, pair in enumerate(rows)}
    for record in horizons:
        place = cells.index(record["cell"]) % len(COLORS)
        pair = record["task"], record["cell"]
        _row(axes, record, positions[pair], COLORS[place], MARKERS[place], (again or {}).get(pair))
    _lengths(axes, min(r["length_min"] for r in horizons), 2 * max(r["length_max"] for r in horizons))  # room for words
    axes.set_yticks([positions[pair] for pair in rows], [f"{label(task)} · {label(cell)}" for task, cell in rows])
    axes.tick_params(axis="y", length=0)
    words = f"horizon: length that half of the replicas solve, with {horizons[0]['level']:.0%} interval"
    axes.set(xlabel=words + ("\n(thin line: were the settings chosen again)" if again else ""))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    return figure


def by_budget(horizons: Sequence[Mapping[str, Any]]) -> Figure:
    """The horizon of each cell on one task against the number of updates allowed; hollow where it is censored."""
    figure, axes = _canvas(5.0, 3.4)
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


def through_time(profiles: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """‖∂L/∂h_t‖ over t at a few lengths, each at its first and last recorded update; see `profiles.contrast`."""
    figure, axes = _canvas(6.0, 3.6)
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


def gradient_heat_map(table: Mapping[str, ndarray], title: str) -> Figure:
    """log10 ‖∂L/∂h_t‖ over (step, update), the median over the replicas that still trained."""
    updates, rows = np.unique(table["update"], return_inverse=True)
    steps, columns = np.unique(table["step"], return_inverse=True)
    grid = np.full((len(updates), len(steps)), np.nan)
    norms = LOG10_2 * table["log2_norm_h"].astype(float)
    order = np.argsort(rows * len(steps) + columns, kind="stable")
    cells, starts = np.unique((rows * len(steps) + columns)[order], return_index=True)
    grid.flat[cells] = [np.median(part) for part in np.split(norms[order], starts[1:])]
    figure, axes = _canvas(6.0, 3.6)
    mesh = axes.pcolormesh(steps, updates, grid, cmap="viridis", shading="nearest", rasterized=True)
    figure.colorbar(mesh, ax=axes, label="log10 ‖∂L/∂h$_t$‖")
    axes.set(xlabel="step t", ylabel="update", title=title)
    return figure


def learning_curves(curves: Sequence[Mapping[str, float]], goal: float, chance: float, title: str) -> Figure:
    """Held-out score, the median and the best of the replicas, against updates, with goal and chance."""
    figure, axes = _canvas(6.0, 3.2)
    probes = [curve for curve in curves if "score/held_out" in curve]
    updates = [curve["update"] for curve in probes]
    floor = goal / 100  # a score of 0 has no logarithm
    for name, color, words in (("score/held_out", COLORS[0], "median"), ("score/best", COLORS[2], "best so far")):
        axes.plot(updates, [max(curve[name], floor) for curve in probes], color=color, label=words)
    for height, words in ((goal, "goal"), (chance, "chance")):
        axes.axhline(height, color=GREY, linewidth=0.8, linestyle=":")
        axes.annotate(
            words,
            (1, height),
            (-2, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=GREY,
        )
    axes.set_yscale("log")
    axes.set(xlabel="update", ylabel="held-out error", title=title)
    axes.legend(fontsize=8, loc="lower left")
    return figure


def predicted(knobs: Sequence[Mapping[str, Any]], when: Mapping[str, str]) -> Figure:
    """The horizon against the decay of the gradient, a panel for each moment; see `published.summary` for `knobs`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * len(when), 3.8), layout="constrained")
        panels = figure.subplots(1, len(when), sharey=True, squeeze=False)[0]
    series = list(dict.fromkeys((knob["cell"], knob["knob"]) for knob in knobs))
    for axes, (moment, words) in zip(panels, when.items(), strict=True):
        for place, pair in enumerate(series):
            points = [knob for knob in knobs if (knob["cell"], knob["knob"]) == pair and knob["decay"][moment]]
            _knob_series(axes, points, moment, COLORS[place % len(COLORS)], f"{label(pair[0])}, {label(pair[1])}")
        axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(xlabel="decay of ‖∂L/∂h$_t$‖ per step back", title=words)
        _reaches(axes)
    panels[0].set_ylabel("horizon T50")
    panels[0].legend(fontsize=7)
    return figure


def _reaches(axes: Axes) -> None:
    """A second axis above: the reach ξ = -1 / ln(decay) of some decays, as far as they lie in the panel."""
    shortest, longest = axes.get_xlim()
    reaches = [reach for reach in REACHES if shortest <= np.exp(-1 / reach) <= longest]
    above = axes.secondary_xaxis("top")
    above.set_xticks([np.exp(-1 / reach) for reach in reaches], [REACHES[reach] for reach in reaches], fontsize=8)
    above.set_xlabel("ξ, steps", fontsize=8)


def _knob_series(axes: Axes, knobs: Sequence[Mapping[str, Any]], moment: str, color: str, name: str) -> None:
    """The horizons over the values of one knob, which stand beside the points."""
    decays = [knob["decay"][moment] for knob in knobs]
    lower = np.array([knob["t50"]["lower"] or knob["length_min"] for knob in knobs], dtype=float)
    upper = np.array([knob["t50"]["upper"] or knob["length_max"] for knob in knobs], dtype=float)
    middle = np.array([knob["t50"]["median"] or np.nan for knob in knobs], dtype=float)
    middle = np.where(np.isnan(middle), np.sqrt(lower * upper), middle)
    bars: dict[str, Any] = {"fmt": "o", "markersize": 4, "capsize": 2, "color": color, "label": name}
    axes.errorbar(decays, middle, yerr=[middle - lower, upper - middle], **bars)
    for knob, decay, height in zip(knobs, decays, middle, strict=True):
        text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": color}
        axes.annotate(f"{knob['value']:g}", (decay, height), (4, 3), **text)


def label(name: str) -> str:
    """A name as a reader writes it: `temporal order`, `LSTM`."""
    return name.upper() if name in ("rnn", "gru", "lstm") else name.replace("_", " ")


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def _lengths(axes: Axes, shortest: int, longest: int) -> None:
    """A log2 axis of lengths with plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(shortest / 1.15, longest * 1.15)
    powers = [2**power for power in range(20) if shortest <= 2**power <= longest]
    axes.xaxis.set_major_locator(FixedLocator(powers))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


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


def _high(answer: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether the horizon lies in the right half of the axis, so that there is room on the lower left."""
    middle = (record["length_min"] * record["length_max"]) ** 0.5
    return bool(answer["censored"] == "above" or (answer["median"] or 0) > middle)


def _unique(records: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(record[name] for record in records))


def tuning(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Figure:
    """How far every setting came that was tried, over its learning rate; and the share that solves, all else fixed."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = sorted({row.get("optimizer.name", "") for row in rows})
    for position, name in enumerate(names):
        mine = [row for row in rows if row.get("optimizer.name", "") == name]
        points: dict[str, Any] = {"color": COLORS[position % len(COLORS)], "alpha": 0.75, "label": name}
        left.scatter([row["optimizer.lr"] for row in mine], [2 ** row["octaves"] for row in mine], **points)
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.set(ylabel="length reached, one seed each", title="settings that were tried")
    left.legend(fontsize=8)
    _rate_line(right, found["curve"], COLORS[0], None)
    right.set(title=f"seeds that solve {found['curve']['length']}, all else as chosen", ylabel="share of seeds")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.axvline(found["chosen"]["optimizer.lr"], color=GREY, linewidth=0.8, linestyle=":")
    figure.suptitle(f"{label(found['cell'])} on {label(found['task'])}", fontsize=11)
    return figure


def learning_rates(horizons: Sequence[Mapping[str, Any]]) -> Figure:
    """The share of seeds that solve over the learning rate, for the cells of one task that were tuned."""
    figure, axes = _canvas(5.0, 3.4)
    for position, record in enumerate(horizons):
        if record.get("tuned"):
            color, curve = COLORS[position % len(COLORS)], record["tuned"]["curve"]
            _rate_line(axes, curve, color, f"{label(record['cell'])}, length {curve['length']}")
            axes.axvline(record["tuned"]["lr"], color=color, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set(xlabel="learning rate (dotted: chosen)", ylabel="share of seeds that solve", ylim=(-0.03, 1.03))
    axes.legend(fontsize=8)
    return figure


def _rate_line(axes: Axes, curve: Mapping[str, Any], color: str, name: str | None) -> None:
    shares = np.array(curve["solved"]) / curve["seeds"]
    axes.plot(curve["rates"], shares, "o-", color=color, markersize=4, linewidth=1.3, label=name, clip_on=False)
