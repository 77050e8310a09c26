"""The finished trials of a search with all that is kept of them, read from its study."""

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line
from pipeline.study.record import TrialRecord
from pipeline.study.trials import LENGTH, finished


def read_study(study: Study) -> list[TrialRecord]:
    """Return the finished trials in their order; raises `UserError` where one is none of a search."""
    try:
        return [record_of(trial) for trial in finished(study)]
    except (KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(
            f"study {study.study_name} holds a trial of something else ({why}); search.fresh=true begins anew"
        ) from error


def record_of(trial: FrozenTrial) -> TrialRecord:
    """Return a finished trial of a study; raises KeyError, TypeError or ValueError where it is none of a search."""
    known, extra = trial.user_attrs, trial.user_attrs["extra"]
    named = ("updates_to_loose_goal", "signature", "profiles", "curves")
    content = known | {name: extra[name] for name in named} | {"length": trial.params[LENGTH]}
    return checked(TrialRecord, content | {"figures": extra["gradient"] | extra["plateau"]})
