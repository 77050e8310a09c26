"""What is read of other choices: those that were made beside the choice in use, and whole files only."""

from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.records import choices
from tests.conftest import compose
from tests.horizon.test_random_effects import found

CHOICE = {
    "seed": 1,
    "study": "tune-a-3",
    "chosen": {"cell.init": "torch"},
    "cost": 3,
    "tuned_searches": 1.5,
    "horizon": found(6.0) | {"study": "a-4"},
}


def recorded(*words: str) -> dict:
    return dict(compose("cell=lstm", *words).recorded)


def written(path: Path) -> Path:
    digest = choices.settings_digest(recorded(), CHOICE["chosen"])
    write_json(path, {"first_study": "tune-a-1", "settings_digest": digest, "choices": [CHOICE]})
    return path


def test_choices_beside_another_first_choice_or_under_other_settings_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "retune.json"
    assert choices.read(path, "tune-a-1", recorded()) == []
    assert [each["seed"] for each in choices.read(written(path), "tune-a-1", recorded())] == [1]
    assert choices.read(path, "tune-a-1", recorded("cell.init=torch")) == [CHOICE]
    assert choices.read(path, "tune-a-2", recorded()) == []
    assert choices.by_study(path) == {"tune-a-3": CHOICE}
    assert choices.read(path, "tune-a-1", recorded("training.updates=7")) == []


def test_settings_are_the_same_but_for_those_that_are_chosen() -> None:
    def told(*words: str) -> str:
        return choices.settings_digest(recorded(*words), {"cell.forget_bias", "training.clip"})

    assert told() == told("optimizer=rmsprop", "optimizer.lr=0.5", "cell.forget_bias=3", "training.clip=7")
    for word in ("training.updates=7", "cell.hidden=7", "task.goal=0.02", "search.length_max=64", "data.held_out=7"):
        assert told() != told(word), word


def told(estimate: str) -> str:
    """The content of retune.json with one choice that has this horizon."""
    known = '"seed": 1, "study": "tune-a-3", "chosen": {}, "cost": 3, "tuned_searches": 2.5'
    choice = f'{{{known}, "horizon": {estimate}}}'
    return f'{{"first_study": "x", "settings_digest": "y", "choices": [{choice}]}}'


HORIZON = '{"study": "a-4", "median": MEDIAN, "lower": 2.0, "upper": 4.0, "censored": null}'


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "retune.json"
    digest = choices.settings_digest(recorded(), {})
    path.write_text(told(HORIZON.replace("MEDIAN", "3.0")).replace('"y"', f'"{digest}"'))
    assert [each["horizon"]["median"] for each in choices.read(path, "x", recorded())] == [3.0]


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "{",
            "[]",
            "null",
            '{"first_study": "x"}',
            '{"first_study": "x", "settings_digest": "y", "choices": 3}',
            told("3"),
        ),
        *(
            told(HORIZON.replace("MEDIAN", median))
            for median in ("0.0", "-1.0", "NaN", "Infinity", '"3"', "[3]", "true", "1e999", "1e300", "1e-300", "5.0")
        ),
        told(HORIZON.replace("MEDIAN", "3.0")).replace("2.5", "null"),
        told(HORIZON.replace("MEDIAN", "3.0")).replace('"chosen": {}', '"chosen": 3'),
        '{"first_study": "x", "settings_digest": "y", "choices": []}',
    ],
)
def test_a_broken_file_is_named_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "retune.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"retune\.json (can't be read|has (no|a value)) .*`python -m pipeline.retune` makes"
    ):
        choices.read(path, "x", recorded())
