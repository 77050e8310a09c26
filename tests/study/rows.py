"""What a study keeps of its finished trials, as rows that can be compared, and as observations made of them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.horizon.observation import Observation
from pipeline.study.trials import finished

CLOCK = ("owner", "heartbeat", "retry")  # of what a study notes of a trial: differs from run to run
Row: TypeAlias = dict[str, Any]


def trial_rows(study: Study) -> list[Row]:
    """Return one row a complete trial, in the order of their ordinals; lists are JSON text; no clock time."""
    return [_row(trial) for trial in finished(study)]


def _row(trial: FrozenTrial) -> Row:
    known = {name: value for name, value in trial.user_attrs.items() if name not in CLOCK} | trial.params
    texts = {name: json.dumps(each) for name, each in known.items() if isinstance(each, list | dict)}
    return dict(sorted((known | texts).items()))  # the order in a store is that of its rows, PostgreSQL's any


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
