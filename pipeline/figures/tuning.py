"""Figures of the choice of settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.colors import COLORS
from pipeline.figures.style import GREY, canvas, look
from pipeline.records.horizon import HorizonRecord
from pipeline.tuning.record import RateCurve, TuningRecord


def tuning_figure(rows: Sequence[Mapping[str, Any]], found: TuningRecord, title: str) -> Figure:
    """Draw how far each setting that was tried came, over its learning rate; and the solved share, all else fixed."""
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
    _rate_line(right, found.curve, COLORS[0], None)
    right.set(title=f"seeds that solve {found.curve.length}, all else as chosen", ylabel="share of seeds")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.axvline(found.chosen["optimizer.lr"], color=GREY, linewidth=0.8, linestyle=":")
    figure.suptitle(title, fontsize=11)
    return figure


def learning_rates(horizons: Sequence[HorizonRecord], labels: Mapping[str, str]) -> Figure:
    """Draw the share of seeds that solve over the learning rate, for the cells of one task that were tuned."""
    figure, axes = canvas(5.0, 3.4)
    for position, record in enumerate(horizons):
        if record.tuned:
            color, _ = look(position)
            _rate_line(axes, record.tuned.curve, color, f"{labels[record.cell]}, length {record.tuned.curve.length}")
            if record.tuned.lr is not None:
                axes.axvline(record.tuned.lr, color=color, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set(xlabel="learning rate (dotted: chosen)", ylabel="share of seeds that solve", ylim=(-0.03, 1.03))
    axes.legend(fontsize=8)
    return figure


def _rate_line(axes: Axes, curve: RateCurve, color: str, name: str | None) -> None:
    shares = np.array(curve.solved) / curve.seeds
    axes.plot(curve.rates, shares, "o-", color=color, markersize=4, linewidth=1.3, label=name, clip_on=False)
