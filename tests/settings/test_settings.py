"""conf/: every option composes and builds, every part can be reached, and configuration can't run code."""

import inspect
import json
import re
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import torch
import yaml

from pipeline import cells, tasks
from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.settings import CONF, PARTS, ROOT, build
from pipeline.settings.destination import folder_name
from pipeline.settings.schema import SECTIONS
from pipeline.settings.typed import of_type, typed
from pipeline.tasks.task import Task
from tests.conftest import compose, options

EVERY_OPTION = [(group, name) for group in PARTS for name in options(group)]
YAMLS = sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize(("group", "name"), EVERY_OPTION)
def test_every_option_composes_and_builds(group: str, name: str) -> None:
    found = compose(f"{group}={name}")
    assert found.names[group] == name
    arguments = {"options": found.search} if group == "sampler" else {}
    assert found.part(group, **arguments) is not None


@pytest.mark.parametrize("name", options("optimizer"))
def test_every_optimizer_trains(name: str) -> None:
    weight = torch.ones(2, 3, requires_grad=True)
    optimizer = compose(f"optimizer={name}").optimizer([weight])
    weight.grad = torch.ones(2, 3)
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize("task", options("task"))
@pytest.mark.parametrize("cell", options("cell"))
def test_every_pair_composes_under_its_name(task: str, cell: str) -> None:
    found = compose(f"task={task}", f"cell={cell}")
    assert found.pair == f"{task}-{cell}"
    assert found.results_of("train") == ROOT / "results" / "train" / f"{task}-{cell}"
    assert found.data_folder == ROOT / "data" / task


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_composes(name: str) -> None:
    compose(f"+experiment={name}")


def test_the_grid_names_tasks_and_cells_that_are_there() -> None:
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    assert set(grid["tasks"]) <= set(options("task"))
    assert set(grid["cells"]) <= set(options("cell"))


def test_every_group_is_one_that_a_command_knows() -> None:
    assert {path.name for path in CONF.iterdir() if path.is_dir()} == {*PARTS, "experiment", "tuned"}


@pytest.mark.parametrize(("group", "package", "base"), [("cell", cells, Cell), ("task", tasks, Task)])
def test_every_part_has_a_yaml_and_every_yaml_a_part(group: str, package: object, base: type) -> None:
    """No orphans: a class that no YAML names can't be chosen, nor can a YAML without a class."""
    modules = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]  # type: ignore[attr-defined]
    classes = {
        f"{kind.__module__}.{kind.__qualname__}"
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, base) and not inspect.isabstract(kind)
        if not kind.__name__.startswith("_")  # a layer of a stack
    }
    named = {
        yaml.safe_load((CONF / group / f"{name}.yaml").read_text()) and target(group, name) for name in options(group)
    }
    assert named == classes


def target(group: str, name: str) -> str:
    """The `_target_` of a YAML, which holds it on top or under its group's name."""
    content = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    return str(content.get(group, content)["_target_"])


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: str(path.relative_to(CONF)))
def test_every_number_in_conf_has_a_comment(path: Path) -> None:
    bare = [
        line for line in path.read_text().splitlines() if re.match(r"\s*[\w.]+:\s*-?\.?\d[\d.]*(e-?\d+)?\s*$", line)
    ]
    assert bare == []


# What a user may get wrong inside a part.


@dataclass
class Example:
    """One field of each type that settings have."""

    count: int
    share: float
    on: bool
    name: str
    limit: float | None = None


VALUES = {"count": 3, "share": 0.5, "on": True, "name": "x"}


def test_values_of_the_right_type_are_taken_as_they_are() -> None:
    assert typed("example", Example, VALUES) == Example(3, 0.5, True, "x", None)
    assert typed("example", Example, VALUES | {"limit": 2.5}).limit == 2.5


def test_a_whole_number_serves_as_a_number() -> None:
    share = typed("example", Example, VALUES | {"share": 2}).share
    assert share == 2.0
    assert isinstance(share, float)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("count", 3.0, "a whole number"),
        ("count", "3", "a whole number"),
        ("count", True, "a whole number"),
        ("count", None, "a whole number"),
        ("share", "much", "a number"),
        ("share", False, "a number"),
        ("on", 1, "true or false"),
        ("on", "yes", "true or false"),
        ("name", 3, "text"),
        ("name", ["a"], "text"),
        ("limit", "x", "a number or null"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_sentence(name: str, value: object, rule: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(f'example.{name} must be {rule}; got {value!r}')}$"):
        typed("example", Example, VALUES | {name: value})


def test_a_missing_value_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"^example\.count must have a value$"):
        typed("example", Example, {name: value for name, value in VALUES.items() if name != "count"})


def test_an_unknown_value_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"^example\.counts is not a setting; --help lists them$"):
        typed("example", Example, VALUES | {"counts": 3})


def test_other_types_are_left_to_their_class() -> None:
    assert of_type("example.layers", [1, 2], list[int]) == [1, 2]


@pytest.mark.parametrize(
    "outside",
    [
        "os.system",
        "builtins.eval",
        "subprocess.run",
        "pipeline.tracking.origin.subprocess.run",
        "pipeline.settings.schema.os.system",
        "torch.optim.optimizer.torch.load",
        "torch.load",
        "",
        "Adam",
    ],
)
def test_a_target_outside_of_the_project_is_refused(outside: str) -> None:
    with pytest.raises(
        UserError, match=r"^optimizer\._target_ must begin with pipeline\. or .*; got '" + re.escape(outside)
    ):
        build({"_target_": outside, "command": "true"}, "optimizer")


def test_a_target_below_a_part_is_not_followed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    nested = {"_target_": "pathlib.Path.touch", "_args_": [str(mark)]}
    with pytest.raises(UserError, match=r"^optimizer\.lr must be a number; got \{"):
        build({"_target_": "torch.optim.SGD", "_partial_": True, "lr": nested}, "optimizer")
    assert not mark.exists()


@pytest.mark.parametrize("missing", ["pipeline.cells.rnn.Nope", "pipeline.nope.RNN", "torch.optim.Nope"])
def test_a_target_that_is_not_there_is_a_sentence(missing: str) -> None:
    with pytest.raises(UserError, match=rf"^cell\._target_ can't be found: .*; got '{missing}'$"):
        build({"_target_": missing}, "cell")


def test_an_abstract_target_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"^cell\._target_ must be a class that can be used as it is"):
        build({"_target_": "pipeline.cells.cell.Cell", "hidden": 3, "init": "torch"}, "cell")


def test_a_part_that_lacks_a_value_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"^cell\.init must have a value$"):
        build({"_target_": "pipeline.cells.rnn.RNN", "hidden": 3}, "cell")


def test_paths_may_be_relative_to_the_project_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relative = compose("paths.data=d", "paths.results=r", "paths.state=s")
    assert (relative.data_folder, relative.results, relative.state) == (ROOT / "d" / "adding", ROOT / "r", ROOT / "s")
    absolute = compose(f"paths.data={tmp_path}/d", f"paths.results={tmp_path}/r", f"paths.state={tmp_path}/s")
    expected = (tmp_path / "d" / "adding", tmp_path / "r", tmp_path / "s")
    assert (absolute.data_folder, absolute.results, absolute.state) == expected
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert compose().state == tmp_path
    monkeypatch.delenv("DVC_ROOT")
    assert compose().state == ROOT


def test_a_job_of_a_multirun_has_a_name_that_a_folder_can_have() -> None:
    short = folder_name(["training.length=20", "cell=rnn", "paths.results=/a/b", "tracking.enabled=false"])
    assert short == "cell=rnn,training.length=20"
    many = [f"training.setting_{index}=/some/value" for index in range(30)]
    names = {folder_name([*many, f"training.seed={seed}"]) for seed in (1, 2)}
    assert len(names) == 2
    assert all(len(name) < 200 and "/" not in name for name in names)


def test_the_schema_of_a_section_has_a_value_for_each_field_and_no_other() -> None:
    """conf/config.yaml and the dataclasses hold the same names."""
    content = yaml.safe_load((CONF / "config.yaml").read_text())
    for kind in SECTIONS:
        assert list(content[kind.section]) == [field.name for field in fields(kind)], kind.section


def test_no_clipping_is_recorded_as_json_can_write_it() -> None:
    recorded = compose("+experiment=pascanu_sgd").recorded
    assert recorded["training"]["clip"] == ".inf"
    assert json.loads(json.dumps(recorded, allow_nan=False)) == recorded
