"""The horizon against the decay of the gradient, for settings that move one knob of a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.colors import COLORS
from pipeline.figures.style import GREY, STYLE

REACHES = {1.0: "1", 2.0: "2", 4.0: "4", 10.0: "10", np.inf: "∞"}  # steps, and how an axis says it


@dataclass(frozen=True, eq=False)
class KnobPoint:
    """One search with one value of a knob."""

    series: str  # the cell and the knob, in words
    value: float
    decays: Mapping[str, float | None]  # of the gradient per step back, by moment
    median: float | None  # of the horizon
    lower: float  # end of its interval, or of the range
    upper: float


def predicted(knobs: Sequence[KnobPoint], when: Mapping[str, str]) -> Figure:
    """Draw the horizon against the decay of the gradient, a panel for each moment of training, `when`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * len(when), 3.8), layout="constrained")
        panels = figure.subplots(1, len(when), sharey=True, squeeze=False)[0]
    series = list(dict.fromkeys(knob.series for knob in knobs))
    for axes, (moment, words) in zip(panels, when.items(), strict=True):
        for place, name in enumerate(series):
            points = {knob: decay for knob in knobs if knob.series == name and (decay := knob.decays[moment])}
            _knob_series(axes, points, COLORS[place % len(COLORS)], name)
        axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(xlabel="decay of ‖∂L/∂h$_t$‖ per step back", title=words)
        _reaches(axes)
    panels[0].set_ylabel("horizon T50")
    panels[0].legend(fontsize=7)
    return figure


def _reaches(axes: Axes) -> None:
    """Draw a second axis above: the reach ξ = -1 / ln(decay) of some decays, as far as they lie in the panel."""
    shortest, longest = axes.get_xlim()
    reaches = [reach for reach in REACHES if shortest <= np.exp(-1 / reach) <= longest]
    above = axes.secondary_xaxis("top")
    above.set_xticks([np.exp(-1 / reach) for reach in reaches], [REACHES[reach] for reach in reaches], fontsize=8)
    above.set_xlabel("ξ, steps", fontsize=8)


def _knob_series(axes: Axes, knobs: Mapping[KnobPoint, float], color: str, name: str) -> None:
    """Draw the horizons over the decays of one knob, whose values stand beside the points."""
    lower, upper = (np.array([getattr(knob, end) for knob in knobs], dtype=float) for end in ("lower", "upper"))
    middle = np.array([knob.median or np.nan for knob in knobs], dtype=float)
    middle = np.where(np.isnan(middle), np.sqrt(lower * upper), middle)
    bars: dict[str, Any] = {"fmt": "o", "markersize": 4, "capsize": 2, "color": color, "label": name}
    axes.errorbar(list(knobs.values()), middle, yerr=[middle - lower, upper - middle], **bars)
    for (knob, decay), height in zip(knobs.items(), middle, strict=True):
        text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": color}
        axes.annotate(f"{knob.value:g}", (decay, height), (4, 3), **text)
