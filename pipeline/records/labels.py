"""Tasks and cells as a reader writes them."""

from collections.abc import Mapping
from typing import Any


def label(name: str) -> str:
    """Return a name as a reader writes it: `temporal order`."""
    return name.replace("_", " ")


def cell_label(name: str, part: Mapping[str, Any]) -> str:
    """Return the name of a cell as its class spells it, `LSTM`; one that is not named after its class, in plain words.

    `part` is the file of conf/cell that has this name.
    """
    spelled = str(part.get("_target_", "")).rpartition(".")[2]
    return spelled if spelled.lower() == name.replace("_", "").lower() else label(name)


def title(task: str, cell: str, part: Mapping[str, Any]) -> str:
    """Return what the figures of a pair are of: `LSTM on temporal order`."""
    return f"{cell_label(cell, part)} on {label(task)}"
