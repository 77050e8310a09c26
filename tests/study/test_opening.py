"""Opening studies by name."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage

from pipeline.study.opening import annotate, known_study, newest_number, open_study, state
from pipeline.study.sampler import HorizonSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("scheme", ["sqlite:///", "journal:"])
def test_a_study_is_made_once_and_then_opened(tmp_path: Path, scheme: str) -> None:
    storage, sampler = f"{scheme}{tmp_path}/studies", HorizonSampler(4, 64)
    first = open_study(storage, "lstm", sampler)
    first.ask().suggest_int("length", 4, 64, log=True)
    again = open_study(storage, "lstm", sampler)
    assert [trial.params for trial in again.trials] == [{"length": 4}]
    assert again.metric_names == ["share solved"]
    assert again.direction == optuna.study.StudyDirection.MAXIMIZE


def test_a_fresh_study_leaves_the_old_one_and_is_the_one_that_is_opened_next() -> None:
    storage, sampler = InMemoryStorage(), HorizonSampler(4, 64)
    open_study(storage, "lstm", sampler).ask()
    assert open_study(storage, "lstm", sampler, fresh=True).study_name == "lstm-2"
    assert open_study(storage, "lstm", sampler, fresh=True).study_name == "lstm-3"
    assert open_study(storage, "lstm", sampler).study_name == "lstm-3"
    assert len(optuna.load_study(study_name="lstm", storage=storage).trials) == 1


def test_the_first_fresh_study_has_the_plain_name() -> None:
    assert open_study(InMemoryStorage(), "gru", HorizonSampler(4, 64), fresh=True).study_name == "gru"


def test_other_names_do_not_count() -> None:
    assert newest_number(["gru-2", "lstm-x", "lstm-4-wide"], "lstm") == 0


def test_the_note_of_a_study_is_what_the_dashboard_shows() -> None:
    from optuna_dashboard._note import get_note  # what its server reads

    study = open_study(InMemoryStorage(), "gru", HorizonSampler(4, 64))
    annotate(study, "**Horizon**: 58")
    assert get_note(study) == "**Horizon**: 58"


def test_a_study_that_nobody_made_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/studies"
    assert known_study(storage, "lstm") is None
    assert not (tmp_path / "studies").exists()
    open_study(storage, "lstm", HorizonSampler(4, 64))
    assert known_study(storage, "gru") is None
    found = known_study(storage, "lstm")
    assert found
    state(found, {"verdict": "vanishing", "MLflow": ""})
    assert open_study(storage, "lstm", HorizonSampler(4, 64)).user_attrs == {"verdict": "vanishing"}
