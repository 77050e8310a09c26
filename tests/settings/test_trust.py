"""Nothing that is read can run code: no pickle anywhere, and a `_target_` names a part of the right kind or nothing."""

import ast
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import hydra
import optuna
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from pipeline import prepare
from pipeline.base.errors import UserError
from pipeline.settings import CONF, ROOT, build
from pipeline.settings.hydra_guard import Loader, require_plain_hydra
from pipeline.settings.trust import BASES, trusted
from tests.conftest import options, run_stage

SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
PICKLES = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "_pickle"}
FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "yaml.unsafe_load", "yaml.full_load"}
UNPICKLING = {"read_pickle", "loads_pickle", "fromfile"}


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with what is called as it is written: `np.load`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def said(call: ast.Call, name: str) -> object:
    """The constant that a call gives for a parameter by its name; None where it gives none."""
    given = [word.value for word in call.keywords if word.arg == name]
    return given[0].value if given and isinstance(given[0], ast.Constant) else None


def dangers(path: Path) -> Iterator[str]:
    """What a file imports and calls that could run what is read."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from {name.partition(".")[0] for name in names} & PICKLES
    for name, call in calls(path):
        safe = {
            "torch.load": said(call, "weights_only") is True,
            "np.load": said(call, "allow_pickle") is False,
            "numpy.load": said(call, "allow_pickle") is False,
            "yaml.load": [ast.unparse(each) for each in call.args[1:]] == ["Loader"],
        }
        if name in FORBIDDEN or name.rpartition(".")[2] in UNPICKLING or not safe.get(name, True):
            yield name
        if said(call, "shell") is True:
            yield f"{name} with a shell"


def test_no_module_unpickles_or_evaluates_what_it_reads() -> None:
    """Dask and `multiprocessing` pickle the project's own objects between its own processes; no file comes into it."""
    assert len(SOURCES) > 100
    assert [(str(path.relative_to(ROOT)), danger) for path in SOURCES for danger in dangers(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "os.system('true')",
        "pandas.read_pickle('a')",
        "torch.load('a')",
        "np.load('a', allow_pickle=True)",
        "yaml.load(text, yaml.Loader)",
        "subprocess.run('true', shell=True)",
    ],
)
def test_a_line_that_could_run_what_it_reads_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert len(list(dangers(tmp_path / "module.py"))) == 1


def test_the_one_yaml_loader_makes_plain_values_only() -> None:
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.system [true]", Loader)


@pytest.mark.parametrize("name", ["optuna.samplers", "torch.optim"])
def test_every_name_of_a_trusted_place_is_a_part_or_is_refused(name: str) -> None:
    """All of them, for every kind of part: what is not refused is a class of that kind."""
    module = {"optuna.samplers": optuna.samplers, "torch.optim": torch.optim}[name]
    kinds = {"optimizer": torch.optim.Optimizer, "tune.sampler": optuna.samplers.BaseSampler}
    taken = dict.fromkeys(BASES, 0)
    for word in dir(module):
        for setting in BASES:
            try:
                found = trusted(f"{name}.{word}", setting)
            except UserError:
                continue
            taken[setting] += 1
            assert inspect.isclass(found) and issubclass(found, kinds.get(setting, optuna.samplers.BaseSampler))
    assert taken["cell"] == taken["task"] == taken["executor"] == 0
    assert sum(taken.values()) > 5


TARGETS = """
    os.system builtins.eval builtins.exec subprocess.Popen torch.load torch.hub.load pathlib.Path hydra.utils.call
    hydra.utils.instantiate optuna.storages.RDBStorage optuna.storages.JournalStorage optuna.create_study
    importlib.import_module pickle.loads numpy.load yaml.unsafe_load torch.optim.sgd.__builtins__
    torch.optim.sgd.__builtins__.eval torch.optim.sgd.torch.load torch.optim.sgd torch.optim.Optimizer
    torch.optim.lr_scheduler.StepLR torch.optim.swa_utils.AveragedModel torch.optim.swa_utils.update_bn
    torch.optim.Adam.step torch.optim.Adam.mro torch.optim.sgd.sgd optuna.samplers.BaseSampler
    optuna.samplers.BaseSampler.register optuna.samplers._tpe.sampler.np.load pipeline.base.files.replaced
    pipeline.base.files.write_json pipeline.base.files.digest pipeline.base.files.json.loads
    pipeline.settings.messages.fail
    pipeline.search.main pipeline.ui.main pipeline.tracking.origin.subprocess.run pipeline.kernels.build.subprocess.run
    pipeline.runs.weights.load pipeline.settings.schema.os.system pipeline.settings.build pipeline.base.errors.UserError
    pipeline.cells pipeline.cells.cell.Cell pipeline.cells.rnn.RNN.forward pipeline.tasks.copy.Copy.sample pipeline.
    pipeline.. é pipeline.executors.inline.Inline.submit pipeline.executors.processes.Worker pipeline.nope.X
"""
OUTSIDE = (*TARGETS.split(), "", "a b", "pipeline.\0", "pipeline.cells.rnn:os.system")


@pytest.mark.parametrize("setting", BASES)
def test_a_target_that_is_no_part_is_refused(setting: str) -> None:
    for target in OUTSIDE:
        with pytest.raises(UserError) as refused:
            build({"_target_": target, "command": "true"}, setting)
            pytest.fail(f"{target!r} was taken")
        sentence = str(refused.value)
        assert re.match(rf"^{setting}\._target_ (must be|can't be found)", sentence), target
        assert "\n" not in sentence and repr(target) in sentence, target


@pytest.mark.parametrize(
    ("setting", "target"),
    [
        ("cell", "pipeline.tasks.copy.Copy"),
        ("task", "pipeline.cells.rnn.RNN"),
        ("executor", "pipeline.cells.rnn.RNN"),
        ("optimizer", "optuna.samplers.RandomSampler"),
        ("tune.sampler", "torch.optim.SGD"),
        ("sampler", "pipeline.executors.inline.Inline"),
    ],
)
def test_a_part_of_another_kind_is_refused(setting: str, target: str) -> None:
    with pytest.raises(UserError, match=rf"^{setting}\._target_ must begin with .*, and must be a kind of "):
        build({"_target_": target}, setting)


@pytest.mark.parametrize("group", [name for name in BASES if name != "tune.sampler"])
def test_every_part_of_the_project_is_trusted(group: str) -> None:
    for name in options(group):
        content = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
        assert callable(trusted(content.get(group, content)["_target_"], group))


# What Hydra itself would make, or read.

CODE = ["hydra.callbacks.a._target_=pathlib.Path.touch", "hydra.callbacks.a._args_=[{mark}]"]


def test_hydra_would_run_what_a_command_refuses(tmp_path: Path) -> None:
    """The danger is real: the same configuration, given to Hydra without us, makes a file."""
    mark = tmp_path / "mark"
    config = OmegaConf.create({"_target_": "pathlib.Path", "_args_": [str(mark)]})
    assert hydra.utils.instantiate(config) == mark
    for words in (["+" + word.format(mark=mark) for word in CODE], ["hydra/callbacks=x"], ["+a@hydra.callbacks.b=c"]):
        ended = run_stage(prepare.main, words)
        assert ended.status == 2 and "is not a setting; of Hydra's own there are hydra." in ended.err
        assert len(ended.err.splitlines()) == 1
    assert not mark.exists()


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--exp", "--config-dir", "--config-path", "-cd", "-cn"])
def test_a_flag_that_reads_other_files_is_refused(tmp_path: Path, flag: str) -> None:
    """`--experimental-rerun` unpickles."""
    mark, file = tmp_path / "mark", tmp_path / "config.pickle"
    file.write_bytes(pickle.dumps(Bomb(mark)))
    for words in ([flag, str(file)], [f"{flag}={file}"]):
        ended = run_stage(prepare.main, words)
        assert ended.status == 2
        assert ended.err.startswith(f"error: {flag} is not an option here, and settings come from conf/; got ")
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists()  # it would have gone off


@pytest.mark.parametrize(
    "text",
    [
        "hydra:\n  callbacks:\n    a: {_target_: os.system, command: 'true'}",
        '"hydr\\x61":\n  callbacks:\n    a: {_target_: os.system}',
        "hydra:\n  launcher: {_target_: os.system}",
        "hydra:\n  sweeper: {_target_: os.system}",
        "hydra:\n  job_logging: {formatters: {a: {class: os.system}}}",
        "hydra: ${task}",
        "defaults:\n  - override hydra/launcher: nope",
        "defaults:\n  - /cell@hydra.callbacks.a: rnn",
        "# @package hydra.callbacks.a\n_target_: os.system",
        "# @package _global_.hydra.callbacks.a\n_target_: os.system",
    ],
)
def test_a_file_of_settings_tells_hydra_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "foreign.yaml").write_text(text)
    with pytest.raises(UserError, match=r"foreign\.yaml: .*hydra.* may not stand in a file of settings; got "):
        require_plain_hydra([], tmp_path)


def test_the_files_of_the_project_are_all_right() -> None:
    require_plain_hydra(["-m", "cell=rnn,gru", "hydra.run.dir=x", "--cfg", "job"], CONF)
    assert sum("hydra" in path.read_text() for path in CONF.rglob("*.yaml")) >= 2  # some of them do say something


def test_a_file_of_settings_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes("hidden: 32\n# größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"mine\.yaml, line 2, must be text in UTF-8; got b'\\xf6'$"):
        require_plain_hydra([], tmp_path)
