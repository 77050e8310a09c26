"""dvc.yaml says what is so: it knows every file that a stage reads, and lists what the report gathers."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from hydra import compose, initialize_config_dir

from pipeline.base import deciding

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GRID: dict[str, list[str]] = yaml.safe_load((ROOT / "conf/grid.yaml").read_text())["grid"]
BESIDE: dict[str, Any] = yaml.safe_load((ROOT / "pipeline/dvc/tuning/dvc.yaml").read_text())["stages"]
TUNING, RETUNING = BESIDE["tune"], BESIDE["retune"]
ATLAS: dict[str, Any] = yaml.safe_load((ROOT / "pipeline/dvc/atlas/dvc.yaml").read_text())["stages"]["atlas"]
PAIRS = [(task, cell) for task in GRID["tasks"] for cell in GRID["cells"]]
CODE = "results/code.json"
IRRELEVANT = {
    "prepare": {"cell", "optimizer", "sampler", "executor"},
    "train": {"sampler", "executor"},
    "search": {"executor"},
    "explain": {"sampler", "executor"},
}
TUNED = "conf/tuned/${item.task}-${item.cell}.yaml"


def keys_of(stage: dict[str, Any], path: str) -> list[str]:
    """The keys of a file that are parameters of a stage."""
    return next(param[path] for param in stage["params"] if path in param)


def filled(text: str, task: str, cell: str) -> str:
    return text.replace("${item.task}", task).replace("${item.cell}", cell)


@pytest.mark.parametrize(("task", "cell"), PAIRS)
@pytest.mark.parametrize("name", ["prepare", "train", "search", "explain"])
def test_every_conf_file_that_hydra_reads_is_a_parameter_of_the_stage(name: str, task: str, cell: str) -> None:
    stage = STAGES[name]
    overrides = re.findall(r"\S+=\S+", filled(stage["cmd"], task, cell))
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=overrides, return_hydra_config=True)
    choices = {group: choice for group, choice in config.hydra.runtime.choices.items() if "/" not in group}
    read = {f"conf/{group}/{choice}.yaml" for group, choice in choices.items() if group not in IRRELEVANT[name]}
    params = {filled(next(iter(param)), task, cell) for param in stage["params"]}
    own = {"conf/explain.yaml"} if name == "explain" else set()
    assert read | {"conf/config.yaml", CODE} | own == params


@pytest.mark.parametrize("name", ["prepare", "train", "search", "explain"])
def test_a_stage_depends_on_every_section_of_the_settings_that_it_uses(name: str) -> None:
    prepared = {"data", "search.compute", "search.per_octave", "search.replicas"}
    sections = {"prepare": prepared, "train": {"data", "search.tuned", "training"}}
    sections["search"] = sections["explain"] = {"data", "search", "training"}
    assert set(keys_of(STAGES[name], "conf/config.yaml")) == sections[name]


def outs_of(stage: dict[str, Any]) -> list[str]:
    return [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]


def test_the_report_depends_on_the_folder_of_all_pairs_and_on_no_other_result() -> None:
    report = STAGES["report"]
    assert [dep for dep in report["deps"] if dep.startswith("results/")] == ["results/pairs"]
    assert outs_of(STAGES["pair"]) == ["results/pairs/${item.task}-${item.cell}"]
    others = [out for name, stage in STAGES.items() if name != "pair" for out in outs_of(stage)]
    assert not [out for out in others if out.startswith("results/pairs")]
    assert {"conf/grid.yaml", CODE} == {next(iter(param)) for param in report["params"]}


def test_a_pair_depends_on_the_results_of_its_own_stages_that_it_reads() -> None:
    made = {out for name in ("search", "train", "explain") for out in outs_of(STAGES[name])}
    unread = {"weights.safetensors", "model.json", "curves.svg", "gradients.svg", "course.svg", "horizon.svg"}
    unread |= {"updates.svg", "seeds.csv", "maps.svg", "rescue.svg"}
    wanted = {out for out in made if out.rpartition("/")[2] not in unread}
    assert set(STAGES["pair"]["deps"]) == wanted | {"results/retune"}


def test_no_stage_names_a_task_or_a_cell() -> None:
    text = "\n".join(line.partition("#")[0] for line in (ROOT / "dvc.yaml").read_text().splitlines())
    assert not [word for words in GRID.values() for word in words if re.search(rf"\b{word}\b", text)]


@pytest.mark.parametrize("name", ["train", "search", "explain"])
def test_a_stage_that_trains_depends_on_the_tuned_settings(name: str) -> None:
    assert TUNED in STAGES[name]["deps"]


@pytest.mark.parametrize("name", ["prepare", "train", "search", "explain", "tune", "retune"])
def test_a_stage_depends_on_the_meaning_of_its_code_and_on_no_file_of_it(name: str) -> None:
    stage = STAGES.get(name) or BESIDE[name]
    parts = {"task.${item.task}", "cell.${item.cell}"} - ({"cell.${item.cell}"} if name == "prepare" else set())
    assert set(keys_of(stage, CODE)) == {name, *parts}
    assert not [dep for dep in stage.get("deps", []) if dep.startswith("pipeline/")]


def test_the_stage_that_digests_the_code_depends_on_every_file_that_it_reads() -> None:
    code, deps = deciding.code_in(ROOT), [ROOT / dep for dep in STAGES["code"]["deps"]]
    content = deciding.digests(code)
    read = [ROOT / "pipeline" / file for file in {*code.sources, *code.meanings}]
    assert [path for path in read if not any(path.is_relative_to(dep) for dep in deps)] == []
    assert {ROOT / "conf/cell", ROOT / "conf/task"} <= set(deps)
    assert content["cell"].keys() == {path.stem for path in (ROOT / "conf/cell").glob("*.yaml")}
    assert [dep for dep in deps if not dep.exists()] == []


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of the trie that DVC looks for outs in
def test_every_stage_that_a_digest_stands_for_waits_for_it() -> None:
    graph = Repo(str(ROOT)).index.graph
    waiting = {stage.addressing for stage, before in graph.edges() if before.addressing == "code"}
    assert {each.rpartition(":")[2].partition("@")[0] for each in waiting} == {*deciding.STAGES, "knobs"}


def test_every_cell_and_task_has_a_committed_digest() -> None:
    """Else `dvc repro --dry` can't plan its stages; `dvc repro code` writes it."""
    committed = json.loads((ROOT / CODE).read_text())
    for group in ("cell", "task"):
        assert {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")} <= committed[group].keys()


def test_stages_are_run_as_modules_so_that_a_copy_of_the_project_runs_its_own_code() -> None:
    assert all(stage["cmd"].startswith("python -m pipeline.") for stage in STAGES.values())


def test_no_stage_declares_a_database_as_an_out() -> None:
    outs = [next(iter(out)) if isinstance(out, dict) else out for stage in STAGES.values() for out in stage["outs"]]
    assert not [out for out in outs if out.endswith(".db") or "mlartifacts" in out]


@pytest.mark.parametrize(("task", "cell"), PAIRS)
def test_every_pair_of_the_grid_has_a_file_of_tuned_settings(task: str, cell: str) -> None:
    """DVC has no optional dependencies: a pair that was not tuned has an empty file."""
    path = f"conf/tuned/{task}-{cell}.yaml"
    made = f"`python -m pipeline.tune task={task} cell={cell}` makes it, or `touch {path}` for plain settings"
    assert (ROOT / path).exists(), f"{path} is missing; {made}"


def test_the_tuning_is_no_stage_of_the_default_pipeline_and_has_no_out_that_one_reads() -> None:
    outs = {next(iter(out)) for out in TUNING["outs"]}
    assert outs == {"results/tune/${item.task}-${item.cell}"}
    read = {dep for name, stage in STAGES.items() for dep in stage.get("deps", []) if name != "code"}
    assert {dep for dep in read if dep.startswith(("results/tune", "conf"))} == {TUNED}  # an edit of the configuration
    assert TUNING["wdir"] == "../../.."


def test_the_tuning_depends_on_all_that_it_uses() -> None:
    search, params = STAGES["search"], {next(iter(param)) for param in TUNING["params"]}
    assert {next(iter(param)) for param in search["params"]} <= params
    space = yaml.safe_load((ROOT / "conf/tune.yaml").read_text())["tune"]["space"]
    assert {f"conf/optimizer/{name}.yaml" for name in space["optimizer"]["name"]} <= params


def test_the_tuning_depends_on_every_setting_of_a_choice_but_not_on_knobs_of_other_cells() -> None:
    options = yaml.safe_load((ROOT / "conf/tune.yaml").read_text())["tune"]
    wanted = {f"tune.{name}" for name in options} - {"tune.cells", "tune.fresh"} | {"tune.cells.${item.cell}"}
    assert set(keys_of(TUNING, "conf/tune.yaml")) == wanted
    assert set(GRID["cells"]) <= options["cells"].keys(), "a cell without a knob of its own has an empty group"


def test_choosing_again_depends_on_all_that_a_choice_does_and_has_no_out_that_the_report_waits_for() -> None:
    assert {*TUNING["deps"], TUNED} == set(RETUNING["deps"])
    files = [
        {name: keys for param in stage["params"] for name, keys in param.items() if name != CODE}
        for stage in (TUNING, RETUNING)
    ]
    assert files[0] | {"conf/retune.yaml": None} == files[1]
    assert "outs" not in RETUNING and RETUNING["wdir"] == "../../.."


def test_the_atlas_is_no_stage_of_the_default_pipeline_and_keeps_what_it_wrote() -> None:
    """DVC removes the outs of a stage before it runs it, unless they persist: a run that was killed must go on."""
    read = {dep for stage in STAGES.values() for dep in stage.get("deps", [])}
    assert not [dep for dep in read if dep.startswith("results/atlas")]
    assert all(entry == {"cache": False, "persist": True} for out in ATLAS["outs"] for entry in out.values())
    search = {next(iter(param)) for param in STAGES["search"]["params"]}
    params = {next(iter(param)) for param in ATLAS["params"]}
    assert {path for path in search if "$" not in path} | {"conf/atlas.yaml"} == params
    assert {"conf/cell", "conf/task"} == set(ATLAS["deps"]) and set(keys_of(ATLAS, CODE)) == {"atlas", "cell", "task"}


def test_git_tracks_nothing_that_dvc_keeps() -> None:
    """Else DVC refuses to run the stage again. All pipelines: the main one, that of the tuning, and the papers'."""
    kept = [Path(out.fs_path).relative_to(ROOT) for out in Repo(str(ROOT)).index.outs if out.use_cache]
    assert {path.parts[0] for path in kept} == {"data", "results"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = {Path(line) for line in listed.splitlines()}
    assert [path for path in tracked if {path, *path.parents} & set(kept)] == []
