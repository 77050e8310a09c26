"""What a pair found is gathered from the files of its stages, which belong together, and from nothing else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import pair as command
from pipeline.base.errors import UserError
from pipeline.base.files import digest, write_json
from pipeline.base.trees import as_json
from pipeline.records.horizon import read_horizon
from pipeline.records.settings import read_settings
from pipeline.records.trials import read_trials
from pipeline.reports import pairs
from pipeline.reports.pairs import chosen_at_boundary, lines, read_pair, read_pairs, require_same
from pipeline.settings import CONF
from tests.conftest import Ended, compose, run_stage
from tests.records.made import committed, estimate, tuned
from tests.reports.grid import PAIR, WORDS, pair, stages


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one pair, gathered."""
    root = stages(tmp_path_factory.mktemp("results"))
    assert gather(root) == Ended(0, f"{root / 'pairs' / PAIR}: RNN on temporal order, 60 (53 to 71)\n", "")
    return root


def gather(root: Path, *words: str) -> Ended:
    return run_stage(command.main, [*WORDS, f"paths.results={root}", *words])


def test_a_pair_is_what_its_stages_say(gathered: Path) -> None:
    folder = gathered / "search" / PAIR
    found = read_pair(gathered / "pairs" / PAIR)
    assert found.horizon == read_horizon(folder / "horizon.json")
    assert found.trials == read_trials(folder / "trials.csv")
    assert found.settings == read_settings(folder / "settings.json")
    assert found.digests == {
        "search": digest(folder / "trials.csv"),
        "train": digest(gathered / "train" / PAIR / "outcome.json"),
        "explain": digest(gathered / "explain" / PAIR / "explanation.json"),
    }
    assert (found.label, found.name, found.title) == ("RNN", PAIR, "temporal order × RNN")
    assert found.command("search") == "python -m pipeline.search task=temporal_order cell=rnn"
    assert [len(path) for path in found.paths] == [2] * len(found.trials)


def test_a_pair_is_read_back_as_it_was_written(gathered: Path) -> None:
    path = gathered / "pairs" / PAIR / "pair.json"
    assert lines(as_json(read_pair(path.parent))) == path.read_text()


def test_the_figures_of_a_pair_are_those_that_the_search_drew(gathered: Path) -> None:
    drawn = gathered / "pairs" / PAIR
    assert sorted(str(path.relative_to(drawn)) for path in drawn.rglob("*.svg")) == [
        "explain/maps.svg",
        "explain/rescue.svg",
        "search/course.svg",
        "search/gradients.svg",
        "search/horizon.svg",
        "search/updates.svg",
        "train/curves.svg",
        "train/gradients.svg",
    ]
    for name in ("course", "horizon"):
        assert (drawn / f"search/{name}.svg").read_text() == (gathered / f"search/{PAIR}/{name}.svg").read_text()


def test_gathered_again_a_pair_has_the_same_bytes(gathered: Path) -> None:
    before = {path: path.read_bytes() for path in (gathered / "pairs").rglob("*") if path.is_file()}
    assert gather(gathered).status == 0
    assert {path: path.read_bytes() for path in (gathered / "pairs").rglob("*") if path.is_file()} == before


MISSING = [
    ("search/{}/horizon.json", "`dvc repro search@{}` (half a minute to five minutes)"),
    ("search/{}/gradients.parquet", "`dvc repro search@{}` (half a minute to five minutes)"),
    ("explain/{}/explanation.json", "`dvc repro explain@{}` (seconds to two minutes after its search)"),
    ("explain/{}/maps.parquet", "`dvc repro explain@{}` (seconds to two minutes after its search)"),
    ("train/{}/curves.csv", "`dvc repro train@{}` (half a minute)"),
    ("train/{}/gradients.parquet", "`dvc repro train@{}` (half a minute)"),
]


@pytest.mark.parametrize(("name", "maker"), MISSING)
def test_a_missing_file_is_named_with_the_command_that_makes_it_and_its_time(
    gathered: Path, tmp_path: Path, name: str, maker: str
) -> None:
    shutil.copytree(gathered, tmp_path / "results")
    path = tmp_path / "results" / name.format(PAIR)
    path.unlink()
    ended = gather(tmp_path / "results")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"error: {path} is missing; {maker.format(PAIR)} makes it\n"


def test_a_pair_outside_of_the_grid_is_refused(tmp_path: Path) -> None:
    """The report depends on the folder of all pairs."""
    ended = run_stage(command.main, ["task=parity", "cell=rnn", f"paths.results={tmp_path}"])
    assert ended == Ended(2, "", "error: task must be of conf/grid.yaml: adding, copy, temporal_order; got 'parity'\n")


def test_a_pair_of_the_grid_that_nobody_gathered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grid.yaml").write_text("grid: {tasks: [adding], cells: [mine]}\n")
    monkeypatch.setattr(pairs, "CONF", tmp_path)
    with pytest.raises(UserError) as refusal:
        read_pairs(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path}/pairs/adding-mine/pair.json is missing; `dvc repro pair@adding-mine` "
        "(seconds if its search and its training are there, else minutes) makes it"
    )


def test_a_pair_in_the_folder_of_another_is_named(gathered: Path, tmp_path: Path) -> None:
    shutil.copytree(gathered / "pairs" / PAIR, tmp_path / "adding-gru")
    with pytest.raises(UserError, match=r"adding-gru/pair\.json is of temporal_order-rnn, not of adding-gru"):
        read_pair(tmp_path / "adding-gru")


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", "half", "null"])
def test_a_damaged_pair_is_named(gathered: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / PAIR / "pair.json"
    shutil.copytree(gathered / "pairs" / PAIR, path.parent)
    text = path.read_text()
    path.write_text(text[: len(text) // 2] if damage == "half" else damage)
    with pytest.raises(UserError, match=rf"pair\.json can't be read \(.*`dvc repro pair@{PAIR}`"):
        read_pair(path.parent)


def test_an_experiment_is_no_pair(tmp_path: Path) -> None:
    ended = run_stage(command.main, ["+experiment=vanishing", f"paths.results={tmp_path}"])
    assert ended.status == 2 and ended.err.startswith("error: experiment ")


def test_files_of_different_searches_are_named() -> None:
    found = pair(PAIR)
    folder = Path("results/search") / PAIR
    require_same(folder, found.horizon, found.trials, found.settings, "it")
    for horizon, trials, settings, name in (
        (found.horizon, found.trials[1:], found.settings, "trials.csv"),
        (replace(found.horizon, compute=1), found.trials, found.settings, "trials.csv"),
        (replace(found.horizon, cell="gru"), found.trials, found.settings, "horizon.json"),
        (replace(found.horizon, budget=1), found.trials, found.settings, "settings.json"),
    ):
        with pytest.raises(UserError, match=f"{folder / name} "):
            require_same(folder, horizon, trials, settings, "it")


def test_a_choice_at_an_end_is_named_where_more_could_be_found() -> None:
    settings, found = compose(*WORDS), pair(PAIR)
    least = settings.tune.space["training"]["clip"]["low"]
    used = replace(found.settings, training={**found.settings.training, "clip": least})
    horizon = replace(found.horizon, tuned=tuned(estimate(60.0, 55.0, 70.0)))
    assert chosen_at_boundary(settings, used, horizon) == {"training.clip": least}
    assert chosen_at_boundary(settings, used, replace(horizon, tuned=None)) == {}
    beyond = replace(horizon, t50=estimate(None, 512.0, None, "above"))
    assert chosen_at_boundary(settings, used, beyond) == {}


def test_the_grid_is_that_of_conf() -> None:
    assert (CONF / "grid.yaml").exists() and set(pairs.grid()) == {"tasks", "cells"}


@pytest.mark.release
def test_choices_that_were_made_beside_this_one_are_gathered(gathered: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(gathered, root)
    source = Path(pairs.CONF.parent / "results" / "retune" / PAIR / "retune.json")
    shutil.copytree(source.parent, root / "retune" / PAIR)
    shutil.copy(pairs.CONF.parent / "results" / "search" / PAIR / "settings.json", root / "search" / PAIR)
    assert gather(root).status == 0
    found = read_pair(root / "pairs" / PAIR)
    assert as_json(found.choices) == json.loads(source.read_text())["choices"]
    assert committed(PAIR).tuned
    write_json(root / "retune" / PAIR / "retune.json", json.loads(source.read_text()) | {"first_study": "another"})
    assert gather(root).status == 0
    assert read_pair(root / "pairs" / PAIR).choices == ()


@pytest.mark.parametrize(("name", "value"), [("budget", 100), ("goal", 0.05)])
def test_a_training_with_another_budget_or_goal_than_the_search_is_refused(
    name: str, value: float, tmp_path: Path
) -> None:
    path = stages(tmp_path) / "train" / PAIR / "outcome.json"
    known = json.loads(path.read_text())
    write_json(path, known | {name: value})
    ended = gather(tmp_path)
    assert ended.status == 2
    said = f"{path} has the {name} {value}, and the search of {PAIR} {known[name]}; `dvc repro train@{PAIR}` "
    assert ended.err == f"error: {said}(half a minute) makes it anew\n"
