"""Nested settings."""

from collections.abc import Mapping
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
