"""The finished trials of a search with all that is kept of them, read from its study."""

from collections.abc import Iterable

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line
from pipeline.study.record import TrialRecord
from pipeline.study.trials import LENGTH, all_trials, finished_in


def read_study(study: Study) -> list[TrialRecord]:
    """Return the finished trials in their order; raises `UserError` where one is none of a search."""
    return records_in(all_trials(study), study.study_name)


def records_in(trials: Iterable[FrozenTrial], study: str) -> list[TrialRecord]:
    """Return the finished ones of some trials of a study; raises `UserError` where one is none of a search."""
    try:
        return [record_of(trial) for trial in finished_in(trials)]
    except (KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(
            f"study {study} holds a trial of something else ({why}); search.fresh=true begins anew"
        ) from error


def record_of(trial: FrozenTrial) -> TrialRecord:
    """Return a finished trial of a study; raises KeyError, TypeError or ValueError where it is none of a search."""
    return checked(TrialRecord, trial.user_attrs | {LENGTH: trial.params[LENGTH]})
