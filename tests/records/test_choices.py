"""What is read of other choices: those that were made beside the choice in use, and whole files only."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.base.trees import as_json
from pipeline.records.choices import ChoicesRecord, beside, read_choices, settings_digest
from tests.conftest import compose
from tests.records.made import choice, estimate

CHOICE = choice(estimate(60.0, 55.0, 70.0))


def recorded(*words: str) -> dict[str, Any]:
    return dict(compose("cell=lstm", *words).recorded)


def record() -> ChoicesRecord:
    return ChoicesRecord("adding", "lstm", "tune-a-0", settings_digest(recorded(), CHOICE.chosen), (CHOICE,))


def test_choices_beside_another_first_choice_or_under_other_settings_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "retune.json"
    assert beside(path, "tune-a-0", recorded()) == () and read_choices(path) is None
    write_json(path, as_json(record()))
    assert beside(path, "tune-a-0", recorded()) == (CHOICE,)
    assert beside(path, "tune-a-0", recorded("cell.init=torch")) == (CHOICE,)
    assert beside(path, "tune-a-2", recorded()) == ()
    assert beside(path, "tune-a-0", recorded("training.updates=7")) == ()
    assert read_choices(path) == record()


def test_settings_are_the_same_but_for_those_that_are_chosen() -> None:
    def told(*words: str) -> str:
        return settings_digest(recorded(*words), {"cell.forget_bias", "training.clip"})

    assert told() == told("optimizer=rmsprop", "optimizer.lr=0.5", "cell.forget_bias=3", "training.clip=7")
    for word in ("training.updates=7", "cell.hidden=7", "task.goal=0.02", "search.length_max=64", "data.held_out=7"):
        assert told() != told(word), word


TEXT = json.dumps(as_json(record()))
MEDIANS = ("0.0", "-1.0", "NaN", "Infinity", '"3"', "[3]", "true", "1e999", "1e300", "1e-300", "500.0")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '{"first_study": "x"}'),
        *(TEXT.replace('"median": 60.0', f'"median": {median}') for median in MEDIANS),
        TEXT.replace('"tuned_searches": 1.5', '"tuned_searches": null'),
        TEXT.replace('"chosen": {"cell.init": "torch"}', '"chosen": 3'),
        TEXT.replace('"compute": 100', '"compute": 0'),
        TEXT[: TEXT.index('"choices"')] + '"choices": []}',
        TEXT[: TEXT.index('"choices"')] + '"choices": 3}',
    ],
)
def test_a_broken_file_is_named_in_one_sentence(tmp_path: Path, content: str) -> None:
    assert content != TEXT
    path = tmp_path / "retune.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"retune\.json can't be read \(.*\); `python -m pipeline.retune` makes it anew"
    ):
        beside(path, "x", recorded())
