"""What is used of Optuna without being promised by it is there, and does what it is used for."""

import optuna
from optuna.storages import InMemoryStorage, RDBStorage
from sqlalchemy import inspect

from pipeline.study import optuna_private


def test_a_trial_has_a_number_among_all_studies() -> None:
    place = InMemoryStorage()
    numbers = [optuna_private.trial_id(optuna.create_study(storage=place).ask()._cached_frozen_trial) for _ in range(3)]
    assert len(set(numbers)) == 3


def test_a_database_is_cached_as_optuna_does_it() -> None:
    place = RDBStorage("sqlite://")
    assert type(optuna_private.cached(place)) is type(optuna.create_study(storage=place)._storage)


def test_missing_indexes_are_made() -> None:
    place = RDBStorage("sqlite://")
    with place.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_studies_study_name")
    assert not inspect(place.engine).get_indexes("studies")
    optuna_private.complete(place)
    assert [each["name"] for each in inspect(place.engine).get_indexes("studies")] == ["ix_studies_study_name"]


def test_a_metric_has_a_name() -> None:
    study = optuna.create_study()
    optuna_private.name_metric(study, "share solved")
    assert study.metric_names == ["share solved"]


def test_a_trial_that_takes_a_note_ends_as_pruned_whatever_it_is_told() -> None:
    study = optuna.create_study()
    trial = study.ask()
    optuna_private.note(study, trial._cached_frozen_trial, "refused", "why")
    study.tell(trial, 0.5)
    kept = study.trials[0]
    assert (kept.user_attrs, kept.state.name, kept.value) == ({"refused": "why"}, "PRUNED", None)
