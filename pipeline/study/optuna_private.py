"""The parts of Optuna in use that its documentation does not promise; a test names each, to check a new release."""

import warnings

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage, _CachedStorage
from optuna.storages._rdb.models import BaseModel
from optuna.trial import FrozenTrial


def trial_id(trial: FrozenTrial) -> int:
    """Return what tells a trial from those of all studies of a database."""
    return trial._trial_id


def note(study: Study, trial: FrozenTrial, name: str, value: str) -> None:
    """Set a user attribute of a trial that is just being told, and so is still running."""
    study._storage.set_trial_user_attr(trial._trial_id, name, value)


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
