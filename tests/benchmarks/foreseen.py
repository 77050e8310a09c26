"""Horizons foreseen for twice and four times the budget against measured ones, for the pairs of the default grid.

`python -m tests.benchmarks.foreseen` searches every pair at its budget, at twice and at four times that, and writes
results/benchmarks/foreseen.json: what was foreseen from the first search alone, what was measured, and how many of the
foreseen intervals hold the measured median. Killed and started again, it goes on from the last finished trial.
`--pairs adding-rnn copy-lstm` takes some; a search at four times the budget may take minutes.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.base.trees import as_json
from pipeline.executors.inline import Inline
from pipeline.horizon.answer import Horizon
from pipeline.horizon.elasticity import FORESEEN
from pipeline.horizon.estimate import AtBudget, Estimate
from pipeline.records.wording import phrase
from pipeline.runs.prepared import held_out_of
from pipeline.runs.studies import search_study, trial_of
from pipeline.settings import Settings, compose
from pipeline.settings.tuned import tuned
from pipeline.study import driver

RESULT = Path("results/benchmarks/foreseen.json")
PAIRS = tuple(f"{task}-{cell}" for task in ("adding", "copy", "temporal_order") for cell in ("rnn", "gru", "lstm"))


def settings_of(pair: str, times: int) -> Settings:
    """Return the tuned settings of a pair with so many times its budget, and as much more compute."""
    words = [f"{group}={name}" for group, name in zip(("task", "cell"), pair.split("-"), strict=True)]
    plain = compose(*words)
    search, updates = plain.search, plain.training.updates
    more = [f"training.updates={times * updates}", f"search.length_max={search.length_max}", "tracking.enabled=false"]
    return tuned(compose(*words, *more, f"search.compute={times * (search.compute or 24.0)}"))


def searched(settings: Settings) -> Horizon:
    """Return the answer of a search, from its study if it is there."""
    trial = trial_of(settings, held_out_of(settings), lambda update, curve: None, remote=False)
    return driver.search(search_study(settings), trial, settings.search, Inline())


def compared(foreseen: AtBudget, measured: Estimate) -> dict[str, Any]:
    """Return both, and whether the foreseen interval holds the measured median; None where that is not known."""
    lower, upper = foreseen.lower or 0.0, foreseen.upper or float("inf")
    holds = None if measured.median is None else lower <= measured.median <= upper
    return {"foreseen": as_json(foreseen), "measured": as_json(measured), "holds": holds}


def row(pair: str) -> list[dict[str, Any]]:
    """Return a comparison for each of `FORESEEN`; none where nothing could be foreseen."""
    first = searched(settings_of(pair, 1))
    found = []
    for times, foreseen in zip(FORESEEN, first.foreseen, strict=False):
        measured = searched(settings_of(pair, times)).t50
        found.append({"pair": pair, "times": times, **compared(foreseen, measured)})
        print(f"| {pair} | {times} | {phrase(foreseen)} | {phrase(measured)} | {found[-1]['holds']} |", flush=True)
    if not first.foreseen:
        print(f"| {pair} | | {phrase(first.t50)} at its budget: nothing is foreseen | | |", flush=True)
    return found or [{"pair": pair, "at_budget": as_json(first.t50)}]


def main(pairs: Sequence[str], target: Path) -> None:
    """Search, print, write after every pair."""
    done: list[dict[str, Any]] = json.loads(target.read_text())["rows"] if target.exists() else []
    print("| pair | times the budget | foreseen | measured | holds |\n|---|---|---|---|---|")
    for pair in pairs:
        done = [each for each in done if each["pair"] != pair] + row(pair)
        known = [each["holds"] for each in done if each.get("holds") is not None]
        record = {"rows": done, "known": len(known), "share_that_holds": sum(known) / len(known) if known else None}
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    parser.add_argument("--json", type=Path, default=RESULT, help="where the comparison goes")
    chosen = parser.parse_args()
    main(chosen.pairs, chosen.json)
