"""Which edit makes what stale: keys of results/code.json, on which stages depend, and names of studies and choices."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.base import deciding
from pipeline.base.deciding import (
    ASIDE,
    CHOICES,
    EXPLANATIONS,
    PARTS,
    RATES,
    STAGES,
    STATEMENTS,
    TRIALS,
    by_class,
    code_in,
    digests,
    files_of_stages,
    of_parts,
    project,
)
from pipeline.base.trees import flatten
from pipeline.runs.studies import search_name, tuning_name
from tests.base.edits import MEANINGLESS, Edit, change_a_constant, copy_of_the_code, rename_modules
from tests.conftest import compose

PAIRS = [("adding", "rnn"), ("adding", "lstm"), ("copy", "rnn")]
EVERY = {"-".join(pair) for pair in PAIRS}
TRAINED = {"train", "search", "tune", "retune", "atlas", "explain"}
SEARCHED = TRAINED - {"train", "explain"}
SHOWN = {"pair", "report"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code."""
    return copy_of_the_code(tmp_path_factory.mktemp("copy"))


@contextmanager
def edited(copy: Path, edit: Edit, *files: str) -> Iterator[None]:
    """The copy with an edit of some files, or of all."""
    kept = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    try:
        for file in files or [""]:
            edit(copy / "pipeline" / file)
        yield
    finally:
        for folder in copy.iterdir():
            shutil.rmtree(folder)
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def keys(copy: Path) -> dict[str, str]:
    """What the stage writes there, by the lists of this process."""
    return flatten(digests(code_in(copy)))


def written(copy: Path, module: str) -> dict[str, str]:
    """What the stage does write there, by the lists of the copy."""
    (copy / "results").mkdir(exist_ok=True)
    command = [sys.executable, "-B", "-m", f"pipeline.base.{module}"]
    subprocess.run(command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, check=True)
    return flatten(json.loads((copy / "results/code.json").read_text()))


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, str]:
    """The same before any edit."""
    return written(copy, "deciding")


def stale(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_every_module_that_a_trial_or_a_choice_reaches_is_in_exactly_one_list() -> None:
    """A new module must be sorted into a list of pipeline/base/deciding.py: does it decide a result?"""
    lists = {"TRIALS": TRIALS, "CHOICES": CHOICES, "PARTS": PARTS, "STATEMENTS": STATEMENTS, "ASIDE": ASIDE}
    lists |= {"EXPLANATIONS": EXPLANATIONS}
    code = project()
    reached = code.reached("runs/trial.py", "runs/race.py", "study/sampler.py", "study/driver.py", "tuning")
    reached |= {other for file in reached if file.endswith(".py") for other in code.imported(file)}
    found = {file: [name for name, places in lists.items() if file in code.below(*places)] for file in sorted(reached)}
    assert {file: each for file, each in found.items() if len(each) != 1} == {}
    assert {"learning/fit.py", "horizon/posterior.py", "settings/__init__.py"} <= found.keys()  # it sees something


def test_every_place_that_a_list_names_is_there() -> None:
    code = project()
    every = (
        *TRIALS,
        *CHOICES,
        *RATES,
        *EXPLANATIONS,
        *PARTS,
        *STATEMENTS,
        *ASIDE,
        *(each for at in STAGES.values() for each in at),
    )
    assert [place for place in every if not code.below(place)] == []


def test_edits_without_a_meaning_make_nothing_stale(copy: Path, before: dict[str, str]) -> None:
    with edited(copy, meaningless):
        assert stale(before, keys(copy)) == set()


def test_files_with_other_names_make_nothing_stale(copy: Path, before: dict[str, str]) -> None:
    with edited(copy, rename_modules):
        assert not (copy / "pipeline/learning/fit.py").exists()
        assert stale(before, written(copy, "deciding_renamed")) == set()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("learning/signature.py", TRAINED | SHOWN),
        ("kernels/native/activations.h", TRAINED),
        ("horizon/acquisition.py", SEARCHED),
        ("horizon/diagnostics.py", {"explain", *SEARCHED, *SHOWN}),  # what is said of trials
        ("tuning/space.py", {"tune", "retune", "atlas", *SHOWN}),
        ("figures/style.py", SHOWN),  # a colour
        ("reports/svg.py", {"report"}),
        ("tasks/symbol_order.py", {"task.temporal_order", "task.temporal_order_3"}),
        ("cells/lstm.py", {"cell.lstm", "cell.module"}),
    ],
)
def test_another_constant_makes_what_depends_on_it_stale_and_nothing_else(
    file: str, expected: set[str], copy: Path, before: dict[str, str]
) -> None:
    with edited(copy, change_a_constant, file):
        assert stale(before, keys(copy)) == expected


ROBUSTNESS = ("study/storage.py", "study/liveness.py", "base/files.py", "executors/processes.py", "settings/memory.py")
WINDOWS = ("tracking/outbox.py", "runs/watcher.py", "ui.py")


def test_another_constant_in_what_only_keeps_or_shows_results_makes_nothing_stale(
    copy: Path, before: dict[str, str]
) -> None:
    with edited(copy, change_a_constant, *ROBUSTNESS, *WINDOWS):
        assert stale(before, keys(copy)) == set()


def test_files_stand_behind_the_stages_that_they_decide() -> None:
    behind = files_of_stages(project())
    expected = {
        "data/streams.py": {"prepare", *TRAINED},
        "horizon/ladder.py": {"prepare", "explain", *TRAINED, *SHOWN},
        "kernels/scaling.py": TRAINED,
        "horizon/posterior.py": {"explain", *SEARCHED, *SHOWN},
        "horizon/ranking.py": {"report"},
        "figures/style.py": SHOWN,
        "records/outcome.py": {"train", *SHOWN},
        "reports/svg.py": {"report"},
        "study/sampler.py": SEARCHED,
        "runs/trial.py": SEARCHED,
        "runs/race.py": {"tune", "retune", "atlas"},
        "study/storage.py": set(),
    }
    assert {file: {name for name, files in behind.items() if file in files} for file in expected} == expected


def names(copy: Path) -> dict[str, tuple[str, str]]:
    """The study of each pair's search and of its choice of settings, by the code of the copy."""
    code = code_in(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "project", lambda: code)
        every = {f"{task}-{cell}": compose(f"task={task}", f"cell={cell}") for task, cell in PAIRS}
        return {pair: (search_name(settings), tuning_name(settings)) for pair, settings in every.items()}


@pytest.fixture(scope="module")
def old(copy: Path) -> dict[str, tuple[str, str]]:
    """The same before any edit."""
    return names(copy)


def meaningless(place: Path) -> None:
    for edit in MEANINGLESS:
        edit(place)


@pytest.mark.parametrize(
    ("edit", "files", "searches", "choices"),
    [
        (meaningless, [""], set(), set()),
        (change_a_constant, ["learning/fit.py"], EVERY, EVERY),
        (change_a_constant, ["tuning/space.py"], set(), EVERY),
        (change_a_constant, ["runs/choosing.py"], set(), EVERY),
        (
            change_a_constant,
            ["tasks/copy.py", "cells/lstm.py"],
            {"copy-rnn", "adding-lstm"},
            {"copy-rnn", "adding-lstm"},
        ),
        (change_a_constant, [*ROBUSTNESS, *WINDOWS, "horizon/diagnostics.py", "figures/style.py"], set(), set()),
    ],
    ids=["no meaning", "learning", "tuning", "choosing", "parts", "robustness and statements"],
)
def test_studies_have_other_names_where_the_edit_decides_them(
    edit: Edit,
    files: list[str],
    searches: set[str],
    choices: set[str],
    copy: Path,
    old: dict[str, tuple[str, str]],
) -> None:
    with edited(copy, edit, *files):
        new = names(copy)
    changed = [{pair for pair in EVERY if old[pair][place] != new[pair][place]} for place in (0, 1)]
    assert changed == [searches, choices]


def test_a_class_counts_by_its_name_wherever_it_lies() -> None:
    tree = {
        "cell": {"_target_": "pipeline.cells.lstm.LSTM", "hidden": 3},
        "deep": {"er": {"_target_": "torch.optim.Adam"}},
    }
    assert by_class(tree) == {
        "cell": {"_target_": "LSTM", "hidden": 3},
        "deep": {"er": {"_target_": "torch.optim.Adam"}},
    }
    assert by_class({"_target_": "pipeline.study.sampler.HorizonSampler.of"}) == {"_target_": "HorizonSampler.of"}


def test_settings_that_decide_nothing_rename_no_study() -> None:
    elsewhere = ["executor=processes", "sweep.cells=[rnn]", "paths.results=other", "tracking.enabled=false"]
    again = ["training.threads=1", "search.fresh=true", "tune.fresh=true"]
    of_train = ["training.length=20", "training.replicas=3", "search.tuned=false"]
    plain, other = compose("cell=lstm"), compose("cell=lstm", *elsewhere, *again, *of_train)
    assert (search_name(plain), tuning_name(plain)) == (search_name(other), tuning_name(other))


@pytest.mark.parametrize(
    ("word", "both"),
    [("training.seed=1", True), ("cell.hidden=3", True), ("search.leap=3", True), ("data.seed=2", True),
     ("optimizer.lr=1", True), ("tune.seeds=3", False), ("tune.cells.lstm.forget_bias.high=5", False)],
)  # fmt: skip
def test_settings_that_decide_rename_studies(word: str, both: bool) -> None:
    plain, other = compose("cell=lstm"), compose("cell=lstm", word)
    assert (search_name(plain) != search_name(other)) is both
    assert tuning_name(plain) != tuning_name(other)


def test_a_knob_of_another_cell_renames_no_choice() -> None:
    assert tuning_name(compose("cell=lstm")) == tuning_name(compose("cell=lstm", "tune.cells.gru.update_bias.high=5"))


def test_a_cell_of_another_package_counts_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trust.yaml").write_text("packages: [package_of_a_user]\n")
    package = tmp_path / "package_of_a_user"
    package.mkdir()
    (package / "__init__.py").write_text("from package_of_a_user.cells import Mine\n")
    (package / "unused.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def found(content: str, name: str = "package_of_a_user.Mine") -> str:
        (package / "cells.py").write_text(content)
        deciding.elsewhere.cache_clear()
        return of_parts(project(), tmp_path, {"cell": {"module": name, "_target_": "pipeline.cells.module.Module"}})

    first = found("class Mine:\n    gain = 1\n")
    assert found('class Mine:\n    """A docstring."""\n\n    gain = 1  # a remark\n') == first
    assert found("class Mine:\n    gain = 2\n") != first
    assert found("class Mine:\n    gain = 1\n", "torch.nn.LSTMCell") != first
    (package / "unused.py").write_text("x = 2\n")
    assert found("class Mine:\n    gain = 1\n") == first
