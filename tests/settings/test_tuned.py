"""Which settings a stage goes by: the pair's tuned ones, unless a command line, an experiment or a switch says not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import train
from pipeline.base.errors import UserError
from pipeline.base.trees import as_json
from pipeline.settings import CONF, ROOT, Settings
from pipeline.settings.overrides import name_of
from pipeline.settings.tuned import file_of, summary, tuned
from tests.conftest import compose, run_stage
from tests.records.made import provenance

WHENCE = yaml.safe_dump({"provenance": as_json(provenance())})
FOUND: dict[str, Any] = {
    "optimizer": {"_target_": "torch.optim.RMSprop", "_partial_": True, "lr": 0.02, "alpha": 0.9},
    "training": {"clip": 3.0},
    "cell": {"init": "torch", "update_bias": 1.5},
    "provenance": as_json(provenance()),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "copy-gru.yaml").write_text(yaml.safe_dump(FOUND))
    return tmp_path


def settings(folder: Path, *overrides: str, experiment: bool = False) -> Settings:
    """As a command gets them."""
    found = compose("task=copy", "cell=gru", f"paths.tuned={folder}", *overrides)
    return replace(found, experiment="published" if experiment else None)


def test_a_pair_that_was_tuned_is_trained_with_what_was_found(folder: Path) -> None:
    plain = settings(folder)
    found = tuned(plain)
    assert found.tree["optimizer"] == FOUND["optimizer"]
    assert (found.training.clip, found.tree["training"]["clip"]) == (3.0, 3.0)
    assert (found.cell.init, found.cell.update_bias, found.cell.hidden) == ("torch", 1.5, 32)
    assert found.tuned == provenance()
    assert replace(found, parts=plain.parts, training=plain.training, tuned=None) == plain  # and nothing else differs
    assert plain.tree["optimizer"]["lr"] == 0.01  # of conf/task/copy.yaml


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("optimizer.lr=0.5", "optimizer", "lr", 0.5),
        ("training.clip=7", "training", "clip", 7),
        ("++cell.update_bias=2", "cell", "update_bias", 2),
        ("cell.init=orthogonal", "cell", "init", "orthogonal"),
    ],
)
def test_the_command_line_wins(folder: Path, override: str, section: str, key: str, value: Any) -> None:
    found = tuned(settings(folder, override))
    assert found.tree[section][key] == value
    expected = {name: dict(FOUND[name]) for name in ("optimizer", "training", "cell")}
    expected[section][key] = value
    for name, values in expected.items():
        assert values.items() <= found.tree[name].items()


def test_a_learning_rate_that_was_tuned_for_one_optimizer_is_not_given_to_another(folder: Path) -> None:
    found = tuned(settings(folder, "optimizer=sgd"))
    assert found.tree["optimizer"] == compose("task=copy", "cell=gru", "optimizer=sgd").tree["optimizer"]
    assert found.training.clip == 3.0


@pytest.mark.parametrize("published", [False, True])
def test_the_plain_settings_are_used_where_a_switch_or_an_experiment_says_so(folder: Path, published: bool) -> None:
    plain = settings(folder, *([] if published else ["search.tuned=false"]), experiment=published)
    assert tuned(plain) == plain
    assert summary(tuned(plain)) is None


@pytest.mark.parametrize("content", [None, "", "# not tuned yet\n"])
def test_a_pair_that_was_not_tuned_has_no_file_or_an_empty_one(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "copy-gru.yaml").write_text(content)
    plain = settings(tmp_path)
    assert tuned(plain) == plain


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2]", r"copy-gru\.yaml must have provenance and any of optimizer, training, cell, each a group"),
        ("cell: {init: torch}", r"must have provenance"),
        ("provenance: {}\ntask: {goal: 1}", r"must have provenance and any of"),
        ("provenance: {}\ncell: 3", r"each a group"),
        ("{", r"copy-gru\.yaml can't be read .* `python -m pipeline\.tune task=copy cell=gru` makes it"),
        (
            "provenance: {}",
            r"copy-gru\.yaml: provenance can't be used \(no study, .*\); `python -m pipeline\.tune task=copy cell=gru`",
        ),
        (f"{WHENCE}\ncell: {{gian: 3}}", r"^cell\.gian is not a setting"),
        (f"{WHENCE}\ntraining: {{clip: -1}}", r"^training\.clip is a gradient norm, above 0"),
        (f"{WHENCE}\noptimizer: {{_target_: os.system, command: 'true'}}", r"^optimizer\._target_ must begin with"),
    ],
)
def test_a_file_that_can_not_be_used_is_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "copy-gru.yaml").write_text(content)
    with pytest.raises(UserError, match=sentence):
        tuned(settings(tmp_path))


def test_horizon_json_tells_where_the_settings_come_from(folder: Path) -> None:
    told = summary(tuned(settings(folder, "optimizer.lr=0.5")))
    assert told is not None
    assert (told.lr, told.optimizer, told.plain) == (0.5, "torch.optim.RMSprop", provenance().plain)


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("training.clip=2", "training.clip"),
        ("++cell.gain=1", "cell.gain"),
        ("~training.clip", "training.clip"),
        ("optimizer=sgd", "optimizer"),
        ("+experiment=x", "experiment"),
        ("cell@part=rnn", "cell"),
    ],
)
def test_an_override_is_known_by_its_name(override: str, name: str) -> None:
    assert name_of(override) == name


@pytest.mark.parametrize(("overrides", "rate"), [("", 0.02), ("optimizer.lr=0.5", 0.5), ("search.tuned=false", 0.01)])
def test_a_command_goes_by_the_file_and_by_its_own_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, overrides: str, rate: float
) -> None:
    seen: list[Settings] = []

    def stop(found: Settings) -> None:
        seen.append(found)
        raise UserError("enough")

    monkeypatch.setattr("pipeline.runs.work.ensure_prepared", stop)
    line = f"task=copy cell=gru tracking.enabled=false paths.tuned={folder} {overrides}"
    assert run_stage(train.main, line).err == "error: enough\n"
    assert seen[0].tree["optimizer"]["lr"] == rate


def test_a_published_setting_is_not_tuned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    def stop(found: Settings) -> None:
        seen.append(found)
        raise UserError("enough")

    monkeypatch.setattr("pipeline.runs.work.ensure_prepared", stop)
    run_stage(train.main, f"+experiment=bai_copy_gru tracking.enabled=false paths.tuned={folder}")
    assert seen[0].tuned is None and seen[0].experiment


@pytest.mark.parametrize("path", sorted((CONF / "tuned").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_project_can_be_used(path: Path) -> None:
    task, _, cell = path.stem.rpartition("-")
    plain = compose(f"task={task}", f"cell={cell}")
    found = tuned(plain)
    assert file_of(plain) == path == ROOT / "conf" / "tuned" / f"{task}-{cell}.yaml"
    if found.tuned is None:
        return
    assert found.tuned.searches > 0
    if not found.tuned.changed:
        assert found.tree["optimizer"]["lr"] == plain.tree["optimizer"]["lr"]
        assert found.training == plain.training
