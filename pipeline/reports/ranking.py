"""The order of the cells on each task, as horizons.json states it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.horizon.posterior import Posterior
from pipeline.horizon.ranking import ranking

Beliefs = Sequence[tuple[str, str, Posterior]]  # (task, cell, where its horizon lies) each


def rankings(beliefs: Beliefs) -> list[dict[str, Any]]:
    """For each task with several cells: their likeliest order and its probability, as horizons.json states it."""
    tasks = dict.fromkeys(task for task, _, _ in beliefs)
    found = [_ranking(task, {cell: belief for of, cell, belief in beliefs if of == task}) for task in tasks]
    return [entry for entry in found if len(entry["order"]) > 1]


def _ranking(task: str, beliefs: dict[str, Posterior]) -> dict[str, Any]:
    ranked = asdict(ranking(beliefs))
    return {"task": task} | {name: list(value) if isinstance(value, tuple) else value for name, value in ranked.items()}
