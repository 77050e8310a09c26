"""Chosen settings at an end of what was tried: beyond it the horizon may be longer, so the report names them."""

from collections.abc import Mapping
from math import log
from typing import Any

from pipeline.tuning.space import Range, Space

NEAR = 0.01  # share of a range, on its own scale, within which a value counts as its end


def at_an_end(space: Space, chosen: Mapping[str, Any], horizon: Mapping[str, Any]) -> dict[str, Any]:
    """The chosen settings of a pair that lie at an end of their range in `tune.space`, by their full names.

    Empty where the pair was not tuned, and where no length could show more: the horizon is beyond the range.
    """
    if not horizon.get("tuned") or horizon["t50"]["censored"] == "above":
        return {}
    ranges = {name: span for name, span in space.items() if isinstance(span, Range) and number(chosen.get(name))}
    return {name: chosen[name] for name, span in ranges.items() if not NEAR < place(span, chosen[name]) < 1 - NEAR}


def number(value: Any) -> bool:
    """Whether a setting is a number; null is none, and stands for a setting that is off."""
    return isinstance(value, int | float)


def place(span: Range, value: float) -> float:
    """Where a value lies in its range, 0 at the low end and 1 at the high one; outside of both beyond it."""
    if not span.log:
        return (value - span.low) / (span.high - span.low)
    return log(value / span.low) / log(span.high / span.low) if value > 0 else 0.0
