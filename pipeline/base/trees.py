"""Nested values: settings by their full names, and records as JSON states them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def flatten(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level, `{"training.length": 20}`; an empty group has none."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def without(tree: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return nested settings without some groups, `training`, and settings of groups, `training.length`."""
    kept = {}
    for key, value in tree.items():
        below = [name.removeprefix(f"{key}.") for name in names if name.startswith(f"{key}.")]
        if key not in names:
            kept[key] = without(value, *below) if isinstance(value, Mapping) else value
    return kept


def as_json(value: Any) -> Any:
    """Return a record as JSON states it: dataclasses as their fields in order, unless they have a `to_json`."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(each) for each in value]
    return value
