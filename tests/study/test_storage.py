"""A database that is away is waited for; what it can't do in the end is one sentence."""

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import StudyModel
from optuna.trial import TrialState
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from pipeline.base.errors import UserError
from pipeline.executors.inline import Inline
from pipeline.study import storage
from pipeline.study.driver import search
from pipeline.study.opening import open_study
from pipeline.study.sampler import HorizonSampler
from pipeline.study.storage import Database
from tests.study.rows import trial_rows
from tests.study.toy import Toy, options

CHOSEN = options(factor=2.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr(storage, "PAUSE", 0.01)


class GoneError(Exception):
    """What a driver of a server says whose connection broke."""


def breaking(place: Database, monkeypatch: pytest.MonkeyPatch, every: int, error: Exception, lost: bool) -> list[int]:
    """Have each `every`-th statement fail, before it is done, or (`lost`) commits that were done and not answered."""
    count = [0]
    sessions = place.backend._backend.scoped_session.session_factory.class_  # type: ignore[attr-defined]
    original = sessions.commit

    def commit(session: Any) -> None:
        count[0] += 1
        if lost:
            original(session)
        if count[0] % every == 0:
            raise OperationalError("COMMIT", {}, error)
        if not lost:
            original(session)

    monkeypatch.setattr(sessions, "commit", commit)
    return count


@pytest.mark.parametrize("lost", [False, True])
def test_a_search_whose_database_breaks_off_again_and_again_ends_as_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    monkeypatch.setattr("pipeline.study.liveness.GRACE", 0.2)
    sampler = HorizonSampler.of(CHOSEN)
    undisturbed = open_study(f"sqlite:///{tmp_path}/undisturbed.db", "toy", sampler)
    expected = search(undisturbed, Toy(), CHOSEN, Inline())
    place = Database(f"sqlite:///{tmp_path}/broken.db")
    study = open_study(place, "toy", sampler)
    count = breaking(place, monkeypatch, 7, GoneError("server closed the connection unexpectedly"), lost)
    assert search(study, Toy(), CHOSEN, Inline()) == expected
    assert count[0] > 50
    assert trial_rows(study) == trial_rows(undisturbed)
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_a_database_that_stays_away_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "AWAY", 0.05)
    place = Database(f"sqlite:///{tmp_path}/broken.db")
    study = open_study(place, "toy", HorizonSampler.of(CHOSEN))
    breaking(place, monkeypatch, 1, GoneError("could not connect\nwith a long story"), lost=False)
    with pytest.raises(
        UserError, match=r"^the study's database does not .*: could not connect; finished trials are kep"
    ):
        study.ask()


def test_a_full_disk_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Database(f"sqlite:///{tmp_path}/full.db")
    study = open_study(place, "toy", HorizonSampler.of(CHOSEN))
    count = breaking(place, monkeypatch, 1, sqlite3.OperationalError("database or disk is full"), lost=False)
    with pytest.raises(UserError, match=r"database or disk is full; finished trials are kept$"):
        study.ask()
    assert count == [1]


def test_a_database_that_can_not_be_opened_is_one_sentence_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "OPENING", (0.01,))
    with pytest.raises(UserError, match=r"^the study's database can't be opened: .*unable to open"):
        Database(f"sqlite:///{tmp_path}/nowhere/studies.db")
    with pytest.raises(UserError, match=r"^the study's database can't be opened: .*refused") as told:
        Database("postgresql+psycopg2://user:secret@127.0.0.1:9/none")
    assert "secret" not in str(told.value)


def test_a_database_that_restarts_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a commit it is Optuna that says so, in words of its own."""
    made, count = RDBStorage.__init__, [0]

    def once(self: RDBStorage, *args: Any, **kwargs: Any) -> None:
        count[0] += 1
        if count[0] == 1:
            raise StorageInternalError("An exception is raised during the commit.")
        made(self, *args, **kwargs)

    monkeypatch.setattr(storage, "OPENING", (0.01,))
    monkeypatch.setattr(RDBStorage, "__init__", once)
    Database(f"sqlite:///{tmp_path}/studies.db")
    assert count == [2]


def test_every_call_of_a_storage_is_retried() -> None:
    mine = {name for name, method in vars(Database).items() if hasattr(method, "__wrapped__")}
    assert BaseStorage.__abstractmethods__ < mine


def test_a_database_whose_making_was_cut_short_still_has_one_study_of_a_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/cut.db"
    with create_engine(url).begin() as connection:  # killed before it had an index
        connection.execute(CreateTable(StudyModel.__table__))
    for _ in range(2):
        open_study(Database(url), "toy", HorizonSampler.of(CHOSEN))
    assert optuna.get_all_study_names(Database(url)) == ["toy"]
