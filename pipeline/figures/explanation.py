"""Figures of an explanation: the gradient of a solving and a failing seed side by side, and rescue shares as bars."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from pipeline.base.numbers import LOG10_2
from pipeline.figures import style
from pipeline.figures.colors import COLORS
from pipeline.figures.style import GREY, STYLE, canvas
from pipeline.records.explanation import ExplanationRecord, GradientMap, SeedRecord

ALIVE = -0.5  # log10: a third of the largest norm
WIDE = 36  # signs in a line above a map
DEPTH = 12.0  # decades below the largest norm that the colours tell apart


def maps_figure(found: ExplanationRecord, maps: Sequence[GradientMap], title: str) -> Figure:
    """Draw log10 of each gradient over (step, update): a solving seed on the left, a failing one on the right.

    One row for each part of the state, and the same colours in all. The titles say what is seen.
    """
    shown = chosen(found, maps)
    parts = list(shown[0][1].norms) if shown else ["h"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 0.8 + 2.9 * len(parts)), layout="constrained")
        panels = figure.subplots(len(parts), max(len(shown), 1), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(f"{title}, T = {found.length}" if found.length else title, fontsize=11)
    if not shown:
        _nothing(panels[0][0], found.reason)
        return figure
    grids = [[LOG10_2 * np.array(each.norms[part]) for _, each in shown] for part in parts]
    every = np.concatenate([grid.ravel() for row in grids for grid in row])
    lowest = max(float(every.min()), float(every.max()) - DEPTH)
    for part, row, axes_row in zip(parts, grids, panels, strict=True):
        for (seed, each), grid, axes in zip(shown, row, axes_row, strict=True):
            mesh = _mesh(axes, each, grid, lowest, float(every.max()))
            told = [*([ended(seed)] if part == parts[0] else []), *wrap(finding(seed, each, part), WIDE)]
            axes.set_title("\n".join(told), fontsize=9)
        axes_row[0].set_ylabel(f"update, ∂L/∂{part}" if len(parts) > 1 else "update")
    for axes in panels[-1]:
        axes.set_xlabel("step t")
    extend = "min" if float(every.min()) < lowest else "neither"
    figure.colorbar(mesh, ax=panels, label=f"log10 ‖∂L/∂{', '.join(parts)}‖ at step t", extend=extend)
    return figure


def chosen(found: ExplanationRecord, maps: Sequence[GradientMap]) -> list[tuple[SeedRecord, GradientMap]]:
    """Return the seeds that are shown: the first that solves, and of those that fail the first with the pair's verdict.

    Where no failing seed has the verdict of the pair, it is the first that fails.
    """
    by_seed = {each.seed: each for each in maps}
    solving = [seed for seed in found.seeds if seed.updates is not None]
    failing = sorted(found.failed, key=lambda seed: seed.verdict != found.verdict)
    return [(seed, by_seed[seed.seed]) for seed in (*solving[:1], *failing[:1])]


def ended(seed: SeedRecord) -> str:
    """Return how a seed ended, in words."""
    return f"seed {seed.seed} solves at update {seed.updates}" if seed.updates else f"seed {seed.seed} fails"


def finding(seed: SeedRecord, shown: GradientMap, part: str) -> str:
    """Return what a map shows as long as the seed was stuck, the median over its updates, in words."""
    if seed.evidence.exploded:
        return f"{part}: the gradient explodes"
    rows = LOG10_2 * np.array(shown.norms[part])
    stuck = np.array(shown.updates) <= max(seed.evidence.end.update, shown.updates[0])
    fall = float(np.median(rows[stuck][:, 0] - rows[stuck].max(axis=1)))
    until = f" until update {seed.evidence.end.update}" if seed.updates else ""
    if fall > ALIVE:
        return f"{part}: the gradient reaches the first step{until}"
    return f"{part}: 10^{fall:.1f} of the largest reaches the first step{until}"


def rescue_figure(found: ExplanationRecord, title: str) -> Figure:
    """Draw the share of the failing seeds that each intervention rescues, with its interval; luck as a line."""
    figure, axes = canvas(6.0, 0.9 + 0.42 * max(len(found.arms), 3))
    if not found.arms:
        _nothing(axes, found.reason)
        axes.set_title(title)
        return figure
    for place, arm in enumerate(found.arms):
        share = arm.share.solved / arm.share.seeds
        color = GREY if arm.name == "luck" else COLORS[0]
        axes.barh(place, share, color=color, alpha=0.6, height=0.6)
        axes.plot(arm.interval, [place, place], color=color, linewidth=1.5)
        axes.annotate(
            f"{arm.share.solved}/{arm.share.seeds}", (1.02, place), va="center", fontsize=8, annotation_clip=False
        )
    axes.set_yticks(range(len(found.arms)), [arm.words for arm in found.arms])
    axes.invert_yaxis()
    counted = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    axes.set(xlim=(0, 1), xlabel=f"share of failing seeds that solve, {found.level:.0%} interval")
    axes.set_title(f"{title}, T = {found.length}: {found.verdict}\nof the seeds: {counted}", fontsize=10)
    return figure


def _mesh(axes: Axes, each: GradientMap, grid: np.ndarray, lowest: float, highest: float) -> QuadMesh:
    updates = np.array(each.updates)
    if len(updates) == 1:  # a mesh needs two rows
        updates, grid = np.array([updates[0], updates[0] + 1]), np.repeat(grid, 2, axis=0)
    return axes.pcolormesh(
        each.steps, updates, grid, cmap="viridis", vmin=lowest, vmax=highest, shading="nearest", rasterized=True
    )


def _nothing(axes: Axes, reason: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"no verdict: {reason}", ha="center", va="center", wrap=True, fontsize=9)


def draw_explanation(folder: Path, found: ExplanationRecord, maps: Sequence[GradientMap], title: str) -> None:
    """Draw maps.svg and rescue.svg; `title` says of which cell and task."""
    style.save(maps_figure(found, maps, title), folder / "maps.svg")
    style.save(rescue_figure(found, title), folder / "rescue.svg")
