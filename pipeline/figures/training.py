"""Figures of one training: the gradient over its course, and the learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy import ndarray

from pipeline.base.numbers import LOG10_2
from pipeline.figures import style
from pipeline.figures.colors import COLORS
from pipeline.figures.style import GREY, canvas
from pipeline.records.outcome import OutcomeRecord


def gradient_heat_map(table: Mapping[str, ndarray], title: str) -> Figure:
    """Draw log10 ‖∂L/∂h_t‖ over (step, update), the median over the replicas that still trained."""
    updates, rows = np.unique(table["update"], return_inverse=True)
    steps, columns = np.unique(table["step"], return_inverse=True)
    grid = np.full((len(updates), len(steps)), np.nan)
    norms = LOG10_2 * table["log2_norm_h"].astype(float)
    order = np.argsort(rows * len(steps) + columns, kind="stable")
    cells, starts = np.unique((rows * len(steps) + columns)[order], return_index=True)
    grid.flat[cells] = [np.median(part) for part in np.split(norms[order], starts[1:])]
    figure, axes = canvas(6.0, 3.6)
    mesh = axes.pcolormesh(steps, updates, grid, cmap="viridis", shading="nearest", rasterized=True)
    figure.colorbar(mesh, ax=axes, label="log10 ‖∂L/∂h$_t$‖")
    axes.set(xlabel="step t", ylabel="update", title=title)
    return figure


def learning_curves(curves: Sequence[Mapping[str, float]], goal: float, chance: float, title: str) -> Figure:
    """Draw the held-out score, the median and the best of the replicas, against updates, with goal and chance."""
    figure, axes = canvas(6.0, 3.2)
    floor = goal / 100  # a score of 0 has no logarithm
    for name, color, words in (("score/held_out", COLORS[0], "median"), ("score/best", COLORS[2], "best so far")):
        known = [(curve["update"], max(curve[name], floor)) for curve in curves if name in curve]
        axes.plot(*zip(*known, strict=True) if known else ([], []), color=color, label=words)
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


def draw_training(
    folder: Path,
    norms: Mapping[str, ndarray],
    curves: Sequence[Mapping[str, float]],
    outcome: OutcomeRecord,
    title: str,
) -> None:
    """Draw gradients.svg and curves.svg; `title` says of which cell and task."""
    words = f"{title}, T = {outcome.length}"
    style.save(gradient_heat_map(norms, words), folder / "gradients.svg")
    style.save(learning_curves(curves, outcome.goal, outcome.chance, words), folder / "curves.svg")
