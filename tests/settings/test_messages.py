"""What a user may get wrong on a command line: one sentence, status 2, no traceback; and the help."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from pipeline import prepare, search, train, tune
from pipeline.base.errors import UserError
from pipeline.settings import compose
from pipeline.settings.known import known_settings
from pipeline.settings.messages import sentence
from tests.conftest import ROOT, Ended, options, run_stage

CELLS, TASKS = (", ".join(options(group)) for group in ("cell", "task"))
WRONG = {
    "cell=nope": f"cell must be one of {CELLS}; got 'nope'",
    "task=nope": f"task must be one of {TASKS}; got 'nope'",
    "optimizer=nope": f"optimizer must be one of {', '.join(options('optimizer'))}; got 'nope'",
    "training.length=-3": "training.length must be at least 1; got -3",
    "training.length=0": "training.length must be at least 1; got 0",
    "training.length=abc": "training.length must be a whole number; got 'abc'",
    "training.length=2.5": "training.length must be a whole number; got 2.5",
    "training.length=null": "training.length must be a whole number; got None",
    "training.lenght=3": "training.lenght is not a setting; did you mean training.length?",
    "lenght=3": "lenght is not a setting; did you mean cell.length or training.length?",
    "lr=0.01": "lr is not a setting; did you mean optimizer.lr?",
    "seed=3": "seed is not a setting; did you mean data.seed or training.seed or tune.seed?",
    "cel=rnn": "cel is not a setting; did you mean cell?",
    "cell=lstmm": f"cell must be one of {CELLS}; got 'lstmm'; did you mean lstm?",
    "task=copi": f"task must be one of {TASKS}; got 'copi'; did you mean copy?",
    "optimizer=adm": f"optimizer must be one of {', '.join(options('optimizer'))}; got 'adm'; did you mean adam?",
    "--halp": "--halp is not an option here, and settings come from conf/; got '--halp'; did you mean --help?",
    "+extra=3": "extra is not a setting; --help lists them",
    "+training.extra=3": "training.extra is not a setting; --help lists them",
    "cell.hiden=3": "cell.hiden is not a setting; did you mean cell.hidden?",
    "+cell.hiden=3": "cell.hiden is not a setting; did you mean cell.hidden?",
    "cell=rnn cell.forget_bias=1": "cell.forget_bias is not a setting of the cell that was chosen",
    "cell.hidden=0": "cell.hidden must be at least 1; got 0",
    "cell.hidden=many": "cell.hidden must be a whole number; got 'many'",
    "cell.init=nope": "cell.init must be one of torch, orthogonal, sigmoid, basic_tanh, smart_tanh; got 'nope'",
    "~training.length": "training.length must have a value",
    "~training": "training is a group of settings; got None",
    "training=3": "training is a group of settings; got 3",
    "+experiment=[bai_copy_lstm]": "experiment is one name, for it names the results; "
    "got '+experiment=[bai_copy_lstm]'",
    "~cell": f"cell must be one of {CELLS}; got None",
    "task=adding task.goal=0": "task.goal is an error, above 0; got 0.0",
    "task=adding task.goal=0.06 task.loose_goal=0.05": "task.loose_goal must be above task.goal 0.06; got 0.05",
    "task=adding task.loose_goal=0.2": "task.loose_goal must be below chance 0.16666666666666666; got 0.2",
    "task=copy task.message=0": "task.message must be at least 1; got 0",
    "task=temporal_order training.length=9": "training.length must be at least 10 for the task temporal_order; got 9",
    "task=temporal_order search.length_min=9": "search.length_min must be at least 10 for the task temporal_order; "
    "got 9",
    "training.clip=0": "training.clip is a gradient norm, above 0 (.inf for no clipping); got 0.0",
    "training.clip=nan": "training.clip must be a number; got nan",
    "training.seed=-1": "training.seed must be from 0 to 2^63 - 1; got -1",
    "training.device=tpu": "training.device must be cpu or cuda; got 'tpu'",
    "training.kernel=numba": "training.kernel must be one of auto, fused, torch, stepwise; got 'numba'",
    "data.held_out=0": "data.held_out must be at least 1; got 0",
    "search.length_min=8 search.length_max=8": "search.length_max must be above search.length_min (8); got 8",
    "search.factor=1": "search.factor must be above 1; got 1.0",
    "search.level=90": "search.level is a probability, above 0 and below 1; got 90.0",
    "training.test_lengths=null": "training.test_lengths must be a list of lengths, each at least 1; got None",
    "sweep.tasks=adding": f"sweep.tasks must be null, or a list of {TASKS}; got 'adding'",
    "sweep.cells=[nope]": f"sweep.cells must be null, or a list of {CELLS}; got ['nope']",
    "search.compute=much": "search.compute must be a number or null; got 'much'",
    "tracking.enabled=maybe": "tracking.enabled must be true or false; got 'maybe'",
    "paths.data=": "paths.data must be a folder; got ''",
    "paths.tuned=": "paths.tuned must be a folder; got ''",
    "search.tuned=perhaps": "search.tuned must be true or false; got 'perhaps'",
    "retune.choices=0": "retune.choices must be from 1 to 1024; got 0",
    "~task=0": "'~task=0' can't be read as a setting to take away, like ~training.length",
    "tune.searches=0": "tune.searches must be above 0; got 0.0",
    "tune.kept=1": "tune.kept is a share, above 0 and below 1; got 1.0",
    "tune.first=1": "tune.first must be at least 2; got 1",
    "tune.seed=-1": "tune.seed must be from 0 to 65535; got -1",
    "tune.setings=3": "tune.setings is not a setting; did you mean tune.settings?",
    "tune=3": "tune is a group of settings; got 3",
    "paths.results=[a,b]": "paths.results must be text; got ['a', 'b']",
    "optimizer.lr=-1": "optimizer.lr must be above 0; got -1",
    "optimizer.lr=0": "optimizer.lr must be above 0; got 0",
    "optimizer=sgd optimizer.lr=0.0": "optimizer.lr must be above 0; got 0.0",
    "+optimizer.speed=3": "optimizer.speed is not a setting; --help lists them",
    "optimizer._target_=torch.optim.Muon": "optimizer must be elementwise, as replicas share it; this one mixes them",
    "optimizer._target_=os.system": "optimizer._target_ must begin with pipeline. or torch.optim. or optuna.samplers.; "
    "got 'os.system'",
    "~cell._target_": "cell._target_ must begin with pipeline. or torch.optim. or optuna.samplers.; got ''",
    "training.length=${nope}": "training.length refers to ${nope}, which is not a setting",
    "training.length": "'training.length' can't be read as a setting and its value, like training.length=20",
    "cell=[rnn": "'cell=[rnn' can't be read as a setting and its value, like training.length=20",
    "cell=rnn,gru": "cell=rnn,gru gives several values; with -m each of them is run",
    "cell=[rnn,gru]": f"cell must be one of {CELLS}; got ['rnn', 'gru']",
    "cell=null": f"cell must be one of {CELLS}; got None",
    "cell=../cell/gru": f"cell must be one of {CELLS}; got '../cell/gru'",
    "~nope": "nope is not a setting; --help lists them",
    "experiment=vanishing": "experiment takes a + before it, as in +experiment=vanishing; got 'experiment=vanishing'",
    # of what only Hydra can judge
    "+training.length=3": "training.length is a setting already, so it takes no + before it",
    "~training.clip=7": "~training.clip must have no value behind it, or the one that is there",
    "~training.threads": "~training.threads has nothing to take away, for training.threads has no value",
    "training={lenght:3}": "training.lenght is not a setting; did you mean training.length?",
    "tune.cells.lstm=[1,2]": "'tune.cells.lstm=[1,2]' can't be set: a group of settings holds names and values",
    "training.seed=${oc.env:NOPE}": "training.seed can't be used: KeyError raised while resolving interpolation: "
    "\"Environment variable 'NOPE' not found\"",
    "hydra.verbose=true": "hydra.verbose is not a setting; of Hydra's own there are hydra.output_subdir, "
    "hydra.run.dir, hydra.sweep.dir, hydra.sweep.subdir, hydra.sweeper.params, hydra.sweeper.max_batch_size; "
    "got 'hydra.verbose=true'",
    "cell=größe": "'cell=größe' can't be read as a setting and its value, like training.length=20; "
    "such letters need quotes in quotes: \"cell='größe'\"",
    "cell='größe'": f"cell must be one of {CELLS}; got 'größe'",
    "-m cell=rnn,nope": f"cell must be one of {CELLS}; got 'nope'",
    "-m cell.hidden=0,1": "none of 2 jobs was started, for 1 can't run; cell.hidden=0: "
    "cell.hidden must be at least 1; got 0",
    "-m cell=rnn cell.hidden=0": "cell.hidden must be at least 1; got 0",
    "-m cell=rnn training.length=12,0,14,1": "none of 4 jobs was started, for 2 can't run; "
    "training.length=0: training.length must be at least 1; got 0; "
    "training.length=1: training.length must be at least 2 for the task adding; got 1",
}


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes a wrong line must not start its work."""

    def start(*_: object) -> None:
        raise AssertionError("the command began")

    monkeypatch.setattr("pipeline.tracking.stored.StoredRun", start)
    monkeypatch.setattr("pipeline.runs.prepared.prepare", start)
    monkeypatch.setattr("pipeline.runs.work.ensure_prepared", start)


@pytest.mark.parametrize("arguments", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(arguments: str) -> None:
    ended = run_stage(train.main, arguments)
    assert ended == Ended(2, "", f"error: {WRONG[arguments]}\n")


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("init: torch\nhidden: [3\n")
    with pytest.raises(yaml.YAMLError) as error:
        OmegaConf.load(path)
    assert re.fullmatch(rf"{path}, line 3, can't be read as YAML: .*", sentence(error.value))


def test_a_training_needs_no_room_for_the_longest_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.settings.memory.memory", lambda: 2**30)
    large = ["task=adding", "cell=rnn", "cell.hidden=128", "training.batch=256", "training.updates=20"]
    assert compose(*large).search.length_max > 10_000
    with pytest.raises(UserError, match=r"^search.replicas 8 x search.length_max 10000 x .* memory of 1 GiB"):
        compose(*large, "search.length_max=10000")


def test_settings_from_python_are_words_one_by_one() -> None:
    with pytest.raises(UserError, match=r"^compose takes overrides one by one, .*; got \['task=adding'\]$"):
        compose(["task=adding"])  # type: ignore[arg-type]


def test_a_multirun_leaves_nothing_in_the_folder_in_which_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr("pipeline.runs.train.train", lambda settings: begun.append(settings.training.length))
    monkeypatch.chdir(tmp_path)
    for line in ("-m training.length=12,14", "training.length=12,14 -m"):
        assert run_stage(train.main, line) == Ended(0, "", "")
    assert begun == [12, 14, 12, 14]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("main", [prepare.main, search.main, tune.main], ids=["prepare", "search", "tune"])
@pytest.mark.parametrize("arguments", ["cell=nope", "training.length=-3", "training.lenght=3"])
def test_every_stage_says_it_the_same_way(main: Callable[[], None], arguments: str) -> None:
    assert run_stage(main, arguments) == Ended(2, "", f"error: {WRONG[arguments]}\n")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["task=adding cell=nope", "training.length=-3", "training.lenght=3"])
def test_a_real_command_ends_with_one_sentence(arguments: str, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "pipeline.train", *arguments.split(), f"paths.results={tmp_path}"]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == f"error: {WRONG[arguments.split()[-1]]}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_code_is_not_blamed_on_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("pipeline.runs.prepared.prepare", broken)
    with pytest.raises(ValueError, match="a bug"):
        run_stage(prepare.main, "")


def test_a_mistake_in_the_code_of_a_check_is_not_blamed_on_the_user_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("pipeline.settings.checks.check_parts", broken)
    with pytest.raises(ValueError, match="a bug"):
        run_stage(prepare.main, "hydra.output_subdir=null")


STOPPED = "error: stopped before the end; what was there before is kept\n"
RESUMED = "error: stopped before the end; finished trials are kept, and the same command resumes after them\n"


@pytest.mark.parametrize(
    ("main", "work", "said"),
    [
        (prepare.main, "prepared.prepare", STOPPED),
        (train.main, "train.train", STOPPED),
        (search.main, "search.search", RESUMED),
        (tune.main, "tune.tune", RESUMED),
    ],
    ids=["prepare", "train", "search", "tune"],
)
def test_an_interrupted_command_ends_with_a_sentence_about_what_it_keeps(
    main: Callable[[], None], work: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"pipeline.runs.{work}", interrupted)
    assert run_stage(main, "") == Ended(130, "", said)


def test_known_settings_are_named_as_on_the_command_line() -> None:
    known = known_settings()
    assert {"training.length", "cell.hidden", "cell.forget_bias", "task.message", "optimizer.momentum", "cell"} <= set(
        known
    )
    assert not any(name.startswith(("grid.training", "rnn.")) for name in known)
