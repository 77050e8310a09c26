"""The space of settings: which values each of them may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any, TypeAlias

from pipeline.base.errors import UserError, require

DIGITS = 3  # significant ones of a setting: more would pretend a precision that a choice among dozens has not
NEAR = 0.01  # share of a range within which a value counts as its end
VARIED = {"optimizer": None, "training": ("clip",), "cell": None}  # sections, and their settings where few may vary

Values: TypeAlias = dict[str, Any]  # settings by their full name, {"optimizer.lr": 0.003}


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Return whether the value is one of them."""
        return value in self.values


@dataclass(frozen=True)
class Range:
    """A number between two."""

    low: float
    high: float
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Return whether the value lies between them."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def position(self, value: float) -> float:
        """Return where a value lies on the scale of the range: 0 at the low end, 1 at the high one."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        return log(value / self.low) / log(self.high / self.low) if value > 0 else 0.0

    def at_boundary(self, value: Any) -> bool:
        """Return whether a number lies at an end of the range or beyond it; null is none, but a setting that is off."""
        return isinstance(value, int | float) and not NEAR < self.position(value) < 1 - NEAR


Space: TypeAlias = dict[str, Choices | Range]


def space_of(common: Mapping[str, Any], own: Mapping[str, Any] | None, inits: Sequence[str] | None = None) -> Space:
    """Return what may vary for one cell, by full names; raise `UserError` where that can't be read or may not vary.

    Of the initial weights that are common to all cells, only those in `inits` are tried, which the cell knows.
    """
    groups = {f"tune.space.{section}": values for section, values in common.items()} | {"tune.cells": own}
    for name, values in groups.items():
        require(values is None or isinstance(values, Mapping), name, "is a group of settings", values)
    tree = {section: dict(values or {}) for section, values in common.items()}
    tree["cell"] = _known(tree.get("cell", {}), inits) | dict(own or {})
    found: Space = {}
    for section, values in tree.items():
        require(section in VARIED, "tune.space", f"can hold {', '.join(VARIED)}", section)
        for name, given in values.items():
            allowed = VARIED[section]
            vary = (allowed is None or name in allowed) and (section, name) != ("cell", "hidden")
            require(vary, f"tune.space.{section}", "can't vary this from replica to replica", name)
            found[f"{section}.{name}"] = _read(f"tune.space.{section}.{name}", given)
    require("optimizer.lr" in found, "tune.space.optimizer", "must hold lr", sorted(found))
    return found


def _known(cell: dict[str, Any], inits: Sequence[str] | None) -> dict[str, Any]:
    """Return what is common to all cells, as far as one cell knows it."""
    given = cell.get("init")
    if inits is None or not isinstance(given, list):
        return cell
    found = [each for each in given if each in inits]
    return {**cell, "init": found} if found else {name: value for name, value in cell.items() if name != "init"}


def _read(name: str, given: Any) -> Choices | Range:
    if isinstance(given, list) and given and all(isinstance(value, str | int | float | bool | None) for value in given):
        return Choices(tuple(given))
    if isinstance(given, Mapping) and {"low", "high"} <= set(given) <= {"low", "high", "log"}:
        low, high, log = given["low"], given["high"], bool(given.get("log", False))
        numbers = all(type(end) in (int, float) and abs(end) < inf for end in (low, high))
        require(numbers and low < high, name, "must have numbers with low below high", dict(given))
        require(not log or low > 0, name, "must have low above 0 on a logarithmic scale", low)
        return Range(float(low), float(high), log)
    raise UserError(f"{name} must be a list of values, or low and high of a number; got {given!r}")


def rounded(params: Mapping[str, Any]) -> Values:
    """Return the settings that are really used: numbers with few digits."""
    return {name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for name, value in params.items()}


def holds(space: Space, values: Values) -> bool:
    """Return whether the space has these settings in it."""
    return all(span.holds(values[name]) for name, span in space.items())


def at_boundary(space: Space, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the settings that lie at an end of their range: beyond it others may do better."""
    return {
        name: values[name]
        for name, span in space.items()
        if isinstance(span, Range) and span.at_boundary(values.get(name))
    }
