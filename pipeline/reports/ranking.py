"""What the report says of several searches together: the order of the cells, plain horizons, and what choices cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.horizon.posterior import Posterior
from pipeline.horizon.ranking import ranking
from pipeline.records import phrase

Beliefs = Sequence[tuple[str, str, Posterior]]  # (task, cell, where its horizon lies) each


def rankings(beliefs: Beliefs) -> list[dict[str, Any]]:
    """For each task with several cells: their likeliest order and its probability, as horizons.json states it."""
    tasks = dict.fromkeys(task for task, _, _ in beliefs)
    found = [_ranking(task, {cell: belief for of, cell, belief in beliefs if of == task}) for task in tasks]
    return [entry for entry in found if len(entry["order"]) > 1]


def _ranking(task: str, beliefs: dict[str, Posterior]) -> dict[str, Any]:
    ranked = asdict(ranking(beliefs))
    return {"task": task} | {name: list(value) if isinstance(value, tuple) else value for name, value in ranked.items()}


def sentence(entry: Mapping[str, Any], label: Any) -> str:
    """A ranking in words: `temporal order: GRU > RNN > LSTM with probability 0.62 (GRU > RNN 0.64, RNN > LSTM 0.9)`."""
    names = [label(name) for name in entry["order"]]
    steps = zip(names, names[1:], entry["pairs"], strict=False)
    pairs = ", ".join(f"{high} > {low} {probability(chance)}" for high, low, chance in steps)
    whole = f"{label(entry['task'])}: {' > '.join(names)} with probability {probability(entry['probability'])}"
    return f"{whole} ({pairs})" if len(names) > 2 else whole


def probability(chance: float) -> str:
    """A probability with two digits, never rounded to certainty."""
    if chance >= 0.995:
        return "above 0.99"
    return "below 0.01" if chance < 0.005 else f"{chance:.2f}"


def plain_phrase(horizon: Mapping[str, Any]) -> str:
    """The horizon with the plain settings beside a tuned one; a dash where there are no tuned settings."""
    tuned = horizon.get("tuned")
    return phrase(tuned["plain"]) if tuned else "–"


def cost_phrase(horizon: Mapping[str, Any]) -> str:
    """What the choice of settings cost, in searches with these settings: `1.85`; a dash where nothing was chosen."""
    tuned = horizon.get("tuned")
    return f"{tuned['cost'] / horizon['compute']:.3g}" if tuned else "–"
