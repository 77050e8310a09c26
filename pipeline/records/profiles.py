"""The gradient through time on both sides of a horizon, chosen from the trials of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import records


def contrast(
    trials: Sequence[Mapping[str, str]], profiles: Mapping[str, Any], horizon: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The gradient through time on both sides of the horizon.

    At the longest length below it of which half of the seeds solved, and the shortest above it of which fewer did.
    """
    chosen = [_solved(trials, horizon), _unsolved(trials, horizon)]
    return [profile(profiles, row, when) for row in chosen if row for when in records.PROFILES]


def profile(profiles: Mapping[str, Any], row: Mapping[str, str], when: str) -> dict[str, Any]:
    """log2 ‖∂L/∂h_t‖ of one trial over its steps, at its first or last recorded update, and what the trial was."""
    chosen = (profiles["trial"] == int(row["ordinal"])) & (profiles["when"] == when)
    bands = {name: profiles[f"log2_norm_{name}"][chosen] for name in ("median", "least", "greatest")}
    known = {"length": int(row["length"]), "share": f"{row['solved']}/{row['replicas']}", "solved": share(row) >= 0.5}
    known |= {"when": when, "update": int(profiles["update"][chosen][0])}
    return {**known, "steps": profiles["step"][chosen], **bands}


def share(trial: Mapping[str, str]) -> float:
    """The share of its replicas that a trial solved."""
    return int(trial["solved"]) / int(trial["replicas"])


def _solved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    below = [row for row in trials if share(row) >= 0.5 and int(row["length"]) <= median]
    return max(below, key=lambda row: int(row["length"]), default=None)


def _unsolved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    above = [row for row in trials if share(row) < 0.5 and int(row["length"]) >= median]
    return min(above, key=lambda row: int(row["length"]), default=None)
