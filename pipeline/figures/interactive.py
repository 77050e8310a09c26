"""The interactive part of the report: two Vega-Lite charts over the trials of all searches, and the library they need.

Both are described as data (https://vega.github.io/vega-lite/docs/spec.html). The library comes out of the package
vl-convert-python as one script, so that the page needs no network.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import vl_convert

from pipeline.base.numbers import LOG10_2
from pipeline.figures.search_data import SolvedShare
from pipeline.study.record import Profile, TrialRecord

Points: TypeAlias = tuple[Mapping[str, float | int], ...]  # of a line

SHARES = ["#D55E00", "#999999", "#0072B2"]  # none of the replicas solved, half, all: seen on white and on black
POINTS = 60  # of a curve; more can't be seen
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name, which nothing fetches
LENGTH = {"field": "length", "type": "quantitative", "scale": {"type": "log", "base": 2}, "title": "sequence length"}


def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as a script that sets `vegaEmbed`."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return re.sub("</script", r"<\\/script", script, flags=re.IGNORECASE)


def curve(fitted: SolvedShare) -> Points:
    """Return the fitted chance to solve at some lengths, with its band."""
    bands = {name: getattr(fitted, name) for name in ("median", "lower", "upper")}
    return tuple(
        {"length": float(fitted.grid[i])} | {name: round(float(band[i]), 3) for name, band in bands.items()}
        for i in _thin(len(fitted.grid))
    )


def path(profile: Profile) -> Points:
    """Return log10 ‖∂L/∂h_t‖, the median over the replicas, over the steps from the end."""
    return tuple(
        {"step": profile.steps[i] - profile.steps[-1], "norm": round(LOG10_2 * profile.median[i], 2)}
        for i in _thin(len(profile.steps))
    )


def points(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return what each trial showed."""
    return [
        _known(trial) | {"updates": ", ".join("–" if update is None else str(update) for update in trial.updates)}
        for trial in trials
    ]


def lines(trials: Sequence[TrialRecord], paths: Sequence[Points]) -> list[dict[str, Any]]:
    """Return the gradient through time of each trial."""
    return [_known(trial) | {"path": path} for trial, path in zip(trials, paths, strict=True)]


def _known(trial: TrialRecord) -> dict[str, Any]:
    solved = f"{trial.solved} of {trial.replicas}"
    return {"trial": trial.ordinal + 1, "length": trial.length, "share": trial.share, "solved": solved}


def _thin(count: int) -> list[int]:
    """Return positions of at most `POINTS` of so many."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, POINTS).round().astype(int))]


def shares_chart(cells: Sequence[str]) -> dict[str, Any]:
    """Return the solved share against length for every cell on the task that is chosen; data `curves` and `points`."""
    color = {"field": "cell", "type": "nominal", "scale": {"domain": list(cells)}, "title": "cell"}
    color |= {"legend": {"symbolOpacity": 1}}
    axis = {"type": "quantitative", "axis": {"format": "%"}, "title": "share of replicas that solve"}
    hover = [{"name": "hover", "select": {"type": "point", "on": "pointerover", "clear": "pointerout"}}]
    band: dict[str, Any] = {"y": {"field": "lower", **axis}, "y2": {"field": "upper"}, "color": color}
    dots: dict[str, Any] = {"y": {"field": "share", **axis}, "color": color, "shape": {**color, "title": "cell"}}
    dots["tooltip"] = [{"field": name} for name in ("cell", "length", "solved", "updates", "trial")]
    dots["size"] = {"condition": {"param": "hover", "empty": False, "value": 160}, "value": 60}
    layers = [
        {"data": {"name": "curves"}, "mark": {"type": "area", "opacity": 0.15}, "encoding": {"x": LENGTH, **band}},
        {
            "data": {"name": "curves"},
            "mark": {"type": "line"},
            "encoding": {"x": LENGTH, "y": {"field": "median", **axis}, "color": color},
        },
        {
            "data": {"name": "points"},
            "params": hover,
            "mark": {"type": "point", "filled": True, "opacity": 0.9},
            "encoding": {"x": LENGTH, **dots},
        },
    ]
    return {"$schema": SCHEMA, "width": "container", "height": 300, "layer": layers}


def gradients_chart() -> dict[str, Any]:
    """Return the gradient through time of every trial of the chosen pair, colored by its solved share; data `lines`."""
    nearest = {"type": "point", "on": "pointerover", "fields": ["trial"], "nearest": True, "clear": "pointerout"}
    color = {"field": "share", "type": "quantitative", "scale": {"range": SHARES, "domain": [0, 1]}}
    color |= {"legend": {"format": "%"}, "title": "share that solved"}
    told = [{"field": name} for name in ("length", "solved", "trial", "step", "norm")]
    x: dict[str, Any] = {"field": "step", "type": "quantitative", "title": "step, counted from the end of the sequence"}
    x |= {"axis": {"format": "d", "tickMinStep": 1}}
    y = {"field": "norm", "type": "quantitative", "title": "log10 ‖∂L/∂h‖", "scale": {"zero": False}}
    encoding = {"x": x, "y": y, "detail": {"field": "trial"}, "color": color}
    seen = {"condition": {"param": "near", "value": 1}, "value": 0.15}
    layers = [
        {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": {**encoding, "opacity": seen}},
        {
            "params": [{"name": "near", "select": nearest}],
            "mark": {"type": "point", "opacity": 0, "size": 80},
            "encoding": {**encoding, "tooltip": told},
        },
    ]
    flat: list[dict[str, Any]] = [{"flatten": ["path"]}, {"calculate": "datum.path.step", "as": "step"}]
    flat += [{"calculate": "datum.path.norm", "as": "norm"}]
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": 300,
        "data": {"name": "lines"},
        "transform": flat,
        "layer": layers,
    }
