"""The finished trials of a search with all that is kept of them, read from its study."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.base.errors import UserError, first_line
from pipeline.horizon.observation import Observation
from pipeline.study.trials import finished, observation, trial_rows


@dataclass(frozen=True)
class Result:
    """One finished trial with all that is kept of it."""

    ordinal: int
    row: Mapping[str, Any]  # of trials.csv
    seen: Observation
    extra: Mapping[str, Any]  # as `trial.Trial` made it


def read_study(study: Study) -> list[Result]:
    """The finished trials in their order; raises `UserError` where one is none of a search."""
    try:
        rows = trial_rows(study)
        return [result_of(trial, row) for trial, row in zip(finished(study), rows, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"study {study.study_name} holds a trial of something else ({_why(error)}); search.fresh=true begins anew"
        ) from error


def result_of(trial: FrozenTrial, row: Mapping[str, Any]) -> Result:
    """A finished trial of a study."""
    extra = trial.user_attrs["extra"]
    flat = {name: value for name, value in row.items() if name != "extra"}
    flat["updates_to_loose_goal"] = json.dumps(extra["updates_to_loose_goal"])
    columns = {**extra["plateau"], "signature": extra["signature"]}
    return Result(int(row["ordinal"]), flat | extra["gradient"] | columns, observation(trial), extra)


def _why(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else first_line(error)
