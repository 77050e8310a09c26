"""Choosing again, small: what it writes, that killing it changes nothing, and that it is of the first choice's kind."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.storages import RDBStorage

from pipeline import retune, search
from pipeline.runs.retune import first_choice
from tests.conftest import Ended, compose, run_stage
from tests.dvc.test_dvc import GRID
from tests.runs.small_tuning import PAIR, arguments


def times(folder: Path) -> dict[tuple[str, int], object]:
    """When each trial of each study ended that has ended."""
    store = RDBStorage(f"sqlite:///{folder / 'state/.state/optuna.db'}")
    return {
        (study.study_name, trial.number): trial.datetime_complete
        for study in store.get_all_studies()
        for trial in store.get_all_trials(study._study_id)
        if trial.state.is_finished()
    }


FILE = f"results/retune/{PAIR}/retune.json"


@pytest.fixture(scope="module")
def first(tuned_once: tuple[Path, Ended], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a first choice, whose runs are not kept."""
    folder = tmp_path_factory.mktemp("first") / "copy"
    shutil.copytree(tuned_once[0], folder)
    (folder / "state" / "mlflow.db").unlink()
    return folder


@pytest.fixture(scope="module")
def undisturbed(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two other choices."""
    folder = tmp_path_factory.mktemp("undisturbed") / "copy"
    shutil.copytree(first, folder)
    done = run_stage(retune.main, arguments(folder))
    assert done.status == 0, done.err
    assert "re-tuned, T50 is" in done.out
    return folder


@pytest.mark.slow
def test_other_choices_are_written_with_their_horizons_and_what_they_cost(undisturbed: Path) -> None:
    first = json.loads((undisturbed / f"results/tune/{PAIR}/tune.json").read_text())
    told = json.loads((undisturbed / FILE).read_text())
    assert (told["task"], told["cell"], told["first_study"]) == (first["task"], first["cell"], first["study"])
    assert [each["seed"] for each in told["choices"]] == [first["seed"] + 1, first["seed"] + 2]
    assert len({first["study"], *(each["study"] for each in told["choices"])}) == 3
    for each in told["choices"]:
        assert set(each["chosen"]) == set(first["chosen"])
        assert each["tuned_searches"] == pytest.approx(each["cost"] / each["horizon"]["compute"], rel=1e-4)
        assert each["plain_searches"] == pytest.approx(each["cost"] / first["plain"]["compute"], rel=1e-4)
    studies = {each["horizon"]["study"] for each in told["choices"]}
    assert len(studies) == 2, "each has a search of its own, also where both chose the same"


@pytest.mark.slow
def test_the_choice_in_use_and_its_file_stay_as_they_are(first: Path, undisturbed: Path) -> None:
    for name in (f"tuned/{PAIR}.yaml", f"results/tune/{PAIR}/tune.json"):
        assert (first / name).read_bytes() == (undisturbed / name).read_bytes()


@pytest.mark.slow
def test_a_horizon_is_that_of_a_search_with_those_settings(undisturbed: Path, tmp_path: Path) -> None:
    """Given the same settings by hand, `search` writes the same numbers."""
    one = json.loads((undisturbed / FILE).read_text())["choices"][0]
    chosen = {name.replace("optimizer.name", "optimizer"): value for name, value in one["chosen"].items()}
    chosen["training.seed"] = compose().training.seed + 1
    words = [f"{name}={value}" for name, value in sorted(chosen.items(), key=lambda item: item[0] != "optimizer")]
    given = [word for word in arguments(tmp_path).split() if not word.startswith("tune.")]
    done = run_stage(search.main, " ".join([*given, *words, "tracking.enabled=false"]))
    assert done.status == 0, done.err
    written = json.loads((tmp_path / "results/search" / PAIR / "horizon.json").read_text())
    assert {name: one["horizon"][name] for name in written["t50"]} == written["t50"]
    assert one["horizon"]["compute"] == written["compute"]


@pytest.mark.slow
def test_mlflow_holds_one_parent_with_a_run_for_each_choice(undisturbed: Path) -> None:
    client = MlflowClient(f"sqlite:///{undisturbed / 'state' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("temporal_order")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    assert len(parents) == 1 and len(runs) == 3
    assert {found.info.status for found in runs} == {"FINISHED"}
    told = json.loads((undisturbed / FILE).read_text())["choices"]
    assert {found.data.metrics["tune/cost"] for found in runs if found not in parents} == {e["cost"] for e in told}
    assert all(f"| {each['seed']} |" in parents[0].data.tags["mlflow.note.content"] for each in told)


@pytest.mark.long
def test_killed_after_a_choice_it_goes_on_and_ends_with_the_same_bytes(
    first: Path, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(first, folder := tmp_path / "copy")
    said = tmp_path / "said.txt"
    child = os.fork()
    if child == 0:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
        import sys

        sys.stdout, sys.argv = os.fdopen(1, "w"), ["retune", *arguments(folder).split()]
        retune.main()
        os._exit(0)
    while "settings of seed 1" not in (said.read_text() if said.exists() else ""):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it could be killed"
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not (folder / FILE).exists()
    before = times(folder)
    done = run_stage(retune.main, arguments(folder))
    assert done.status == 0, done.err
    after = times(folder)
    assert len(before) > 5 and {name: after[name] for name in before} == before  # what had ended did not run again
    assert (folder / FILE).read_bytes() == (undisturbed / FILE).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["tune.seeds=3", "training.batch=31", "tune.generations=1"])
def test_with_other_settings_than_the_first_choice_it_asks_for_a_new_first_choice(first: Path, change: str) -> None:
    ended = run_stage(retune.main, arguments(first, change))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        f"error: {first / 'tuned' / PAIR}.yaml was chosen with other settings or code than these; "
        "run `python -m pipeline.tune task=temporal_order cell=lstm` first\n"
    )


@pytest.mark.slow
def test_a_first_choice_that_was_made_anew_counts_as_well(first: Path, tmp_path: Path) -> None:
    """tune.fresh=true gives its study the next number."""
    shutil.copytree(first, folder := tmp_path / "copy")
    path = folder / "tuned" / f"{PAIR}.yaml"
    study = json.loads((folder / f"results/tune/{PAIR}/tune.json").read_text())["study"]
    path.write_text(path.read_text().replace(study, f"{study}-2"))
    assert first_choice(compose(*arguments(folder).split())).study == f"{study}-2"


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["compute: 0", "compute: null", "compute: x", "median: 0", "median: x"])
def test_a_first_choice_whose_plain_search_is_damaged_is_a_sentence(first: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(first, folder := tmp_path / "copy")
    path, name = folder / "tuned" / f"{PAIR}.yaml", damage.partition(":")[0]
    head, plain = path.read_text().split("\n  plain:\n")
    path.write_text(head + "\n  plain:\n" + re.sub(rf"(?m)^    {name}: [^#\n]*", f"    {damage} ", plain, count=1))
    ended = run_stage(retune.main, arguments(folder, "tracking.enabled=false"))
    assert (ended.status, ended.out) == (2, "")
    assert "provenance can't be used" in ended.err and len(ended.err.splitlines()) == 1


@pytest.mark.slow
def test_a_choice_that_the_file_has_is_not_made_again_without_its_study(undisturbed: Path, tmp_path: Path) -> None:
    """Such as on another machine, where one more choice is asked for."""
    shutil.copytree(undisturbed, folder := tmp_path / "copy")
    (folder / "state/.state/optuna.db").unlink()
    both = (folder / FILE).read_bytes()
    known = json.loads(both)
    (folder / FILE).write_text(json.dumps(known | {"choices": known["choices"][:1]}))
    done = run_stage(retune.main, arguments(folder, "tracking.enabled=false"))
    assert done.status == 0, done.err
    assert (folder / FILE).read_bytes() == both
    second = known["choices"][1]
    assert {name for name, _ in times(folder)} == {second["study"], second["horizon"]["study"]}


@pytest.mark.slow
def test_a_seed_that_is_not_of_the_first_choice_is_refused(first: Path) -> None:
    ended = run_stage(retune.main, arguments(first, "tune.seed=7"))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "error: tune.seed must be that of the choice in conf/tuned, 0, or left out; got 7\n"


@pytest.mark.release
@pytest.mark.parametrize("pair", [f"{task}-{cell}" for task in GRID["tasks"] for cell in GRID["cells"]])
def test_every_committed_choice_can_be_made_again_by_this_code(pair: str) -> None:
    task, _, cell = pair.rpartition("-")
    assert first_choice(compose(f"task={task}", f"cell={cell}")).seed == 0


@pytest.mark.parametrize("content", [None, "", "provenance: {}\n", "provenance: {study: x, seed: many, plain: {}}\n"])
def test_without_a_first_choice_it_asks_for_one(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tuned").mkdir()
        (tmp_path / "tuned" / f"{PAIR}.yaml").write_text(content)
    ended = run_stage(retune.main, arguments(tmp_path))
    assert (ended.status, ended.out) == (2, "") and len(ended.err.splitlines()) == 1
    assert "`python -m pipeline.tune task=temporal_order cell=lstm`" in ended.err
    assert not (tmp_path / "results").exists()
