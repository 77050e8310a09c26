"""The parts of Optuna in use that its documentation does not promise; a test names each, to check a new release."""

import warnings
from functools import partial
from threading import Lock
from typing import Any

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage, _CachedStorage
from optuna.storages._rdb.models import BaseModel
from optuna.trial import FrozenTrial, TrialState

_END, _REFUSED = "set_trial_state_values", "_refused"  # a method of a storage, and what it is given beside it
_refusing = Lock()


def trial_id(trial: FrozenTrial) -> int:
    """Return what tells a trial from those of all studies of a database."""
    return trial._trial_id


def note(study: Study, trial: FrozenTrial, name: str, value: str) -> None:
    """Note why a trial that is just being told is refused: it ends as pruned, and its value is not stored.

    `Study.tell` stores the value even where the sampler raises, so its storage is asked to end this trial otherwise.
    One that ends as failed after its objective returned makes `Study.optimize` raise an error of its own.
    """
    storage = study._storage
    storage.set_trial_user_attr(trial._trial_id, name, value)
    with _refusing:
        refused = vars(storage).setdefault(_REFUSED, set())
        refused.add(trial._trial_id)
        vars(storage).setdefault(_END, partial(_end, storage, refused))


def _end(storage: BaseStorage, refused: set[int], trial: int, state: TrialState, values: Any = None) -> bool:
    """End a trial as it was told, or as pruned where it was refused; then the storage is as it was."""
    with _refusing:
        mine = trial in refused
        refused.discard(trial)
        if not refused:
            vars(storage).pop(_END, None)
    end = type(storage).set_trial_state_values
    return end(storage, trial, TrialState.PRUNED) if mine else end(storage, trial, state, values)


def cached(database: RDBStorage) -> BaseStorage:
    """Return a storage that keeps finished trials in memory, as `optuna.create_study` does with a database."""
    return _CachedStorage(database)


def complete(database: RDBStorage) -> None:
    """Make the indexes that a database lacks.

    SQLite makes a table and then its index: a process killed in between leaves a database in which two studies may
    have one name.
    """
    for table in BaseModel.metadata.sorted_tables:
        for index in table.indexes:
            index.create(database.engine, checkfirst=True)


def name_metric(study: Study, name: str) -> None:
    """Name the value of the trials, for Optuna's dashboard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([name])
