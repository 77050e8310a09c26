"""What a study keeps of its finished trials, as rows that can be compared, and as observations made of them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.horizon.observation import Observation
from pipeline.study.trials import LENGTH, finished

LISTS = ("updates", "diverged", "best_score", "seeds")  # one value a replica
Row: TypeAlias = dict[str, Any]


def trial_rows(study: Study) -> list[Row]:
    """Return one row a complete trial, in the order of their ordinals; lists are JSON text; no clock time."""
    return [_row(trial) for trial in finished(study)]


def _row(trial: FrozenTrial) -> Row:
    known = trial.user_attrs
    row: Row = {name: known.get(name) for name in ("ordinal", "aim")} | {LENGTH: trial.params[LENGTH]}
    row |= {name: known.get(name) for name in ("replicas", "solved", "budget", "cost")}
    row |= {name: json.dumps(known.get(name, [])) for name in LISTS}
    return row | {"extra": json.dumps(known.get("extra", {}), sort_keys=True)}


def observations_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Observation]:
    """Return the rows of trials.csv as observations; `updates` of a row is a JSON list."""
    return [
        Observation(
            length=int(row["length"]),
            solved=int(row["solved"]),
            replicas=int(row["replicas"]),
            updates=tuple(json.loads(row["updates"])),
            budget=int(row["budget"]),
            cost=float(row["cost"]),
            aim=str(row["aim"]),
        )
        for row in rows
    ]
