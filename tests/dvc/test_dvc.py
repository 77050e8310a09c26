"""dvc.yaml says what is so: it knows every file that a stage reads, and lists what the report gathers."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from hydra import compose, initialize_config_dir

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GRID: dict[str, list[str]] = yaml.safe_load((ROOT / "conf/grid.yaml").read_text())["grid"]
BESIDE: dict[str, Any] = yaml.safe_load((ROOT / "pipeline/dvc/tuning/dvc.yaml").read_text())["stages"]
TUNING, RETUNING = BESIDE["tune"], BESIDE["retune"]
PAIRS = [(task, cell) for task in GRID["tasks"] for cell in GRID["cells"]]
IRRELEVANT = {
    "prepare": {"cell", "optimizer", "sampler", "executor"},
    "train": {"sampler", "executor"},
    "search": set(),
}
TUNED = "conf/tuned/${item.task}-${item.cell}.yaml"


def filled(text: str, task: str, cell: str) -> str:
    return text.replace("${item.task}", task).replace("${item.cell}", cell)


@pytest.mark.parametrize(("task", "cell"), PAIRS)
@pytest.mark.parametrize("name", ["prepare", "train", "search"])
def test_every_conf_file_that_hydra_reads_is_a_parameter_of_the_stage(name: str, task: str, cell: str) -> None:
    stage = STAGES[name]
    overrides = re.findall(r"\S+=\S+", filled(stage["cmd"], task, cell))
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=overrides, return_hydra_config=True)
    choices = {group: choice for group, choice in config.hydra.runtime.choices.items() if "/" not in group}
    read = {f"conf/{group}/{choice}.yaml" for group, choice in choices.items() if group not in IRRELEVANT[name]}
    params = {filled(next(iter(param)), task, cell) for param in stage["params"]}
    assert read | {"conf/config.yaml"} == params


@pytest.mark.parametrize("name", ["prepare", "train", "search"])
def test_a_stage_depends_on_every_section_of_the_settings_that_it_uses(name: str) -> None:
    sections = {"prepare": {"data", "search.per_octave"}, "train": {"data", "search.tuned", "training"}}
    sections["search"] = {"data", "search", "training"}
    listed = next(param["conf/config.yaml"] for param in STAGES[name]["params"] if "conf/config.yaml" in param)
    assert set(listed) == sections[name]


def test_the_report_depends_on_the_results_of_the_whole_grid_and_of_nothing_else() -> None:
    files = {"train": ["curves.svg", "gradients.svg", "outcome.json"]}
    files["search"] = ["course.svg", "gradients.parquet", "gradients.svg", "horizon.json", "horizon.svg"]
    files["search"] += ["settings.json", "trials.csv"]
    wanted = {f"results/{stage}/{t}-{c}/{file}" for stage in files for t, c in PAIRS for file in files[stage]}
    assert {dep for dep in STAGES["report"]["deps"] if dep.startswith("results/")} == wanted | {"results/retune"}


@pytest.mark.parametrize("name", ["train", "search"])
def test_a_stage_that_trains_depends_on_the_tuned_settings(name: str) -> None:
    assert TUNED in STAGES[name]["deps"]


def test_every_dependency_on_code_exists() -> None:
    for stage in STAGES.values():
        for task, cell in PAIRS:
            code = [filled(dep, task, cell) for dep in stage["deps"] if dep.startswith("pipeline/")]
            assert [dep for dep in code if not (ROOT / dep).exists()] == []


def test_stages_are_run_as_modules_so_that_a_copy_of_the_project_runs_its_own_code() -> None:
    assert all(stage["cmd"].startswith("python -m pipeline.") for stage in STAGES.values())


def test_no_stage_declares_a_database_as_an_out() -> None:
    outs = [next(iter(out)) if isinstance(out, dict) else out for stage in STAGES.values() for out in stage["outs"]]
    assert not [out for out in outs if out.endswith(".db") or "mlartifacts" in out]


@pytest.mark.parametrize(("task", "cell"), PAIRS)
def test_every_pair_of_the_grid_has_a_file_of_tuned_settings(task: str, cell: str) -> None:
    """DVC has no optional dependencies: a pair that was not tuned has an empty file."""
    assert (ROOT / f"conf/tuned/{task}-{cell}.yaml").exists()


def test_the_tuning_is_no_stage_of_the_default_pipeline_and_has_no_out_that_one_reads() -> None:
    outs = {next(iter(out)) for out in TUNING["outs"]}
    assert outs == {"results/tune/${item.task}-${item.cell}"}
    read = {dep for stage in STAGES.values() for dep in stage["deps"]}
    assert {dep for dep in read if dep.startswith(("results/tune", "conf"))} == {TUNED}  # an edit of the configuration
    assert TUNING["wdir"] == "../../.."


def test_the_tuning_depends_on_all_that_it_uses() -> None:
    search, params = STAGES["search"], {next(iter(param)) for param in TUNING["params"]}
    assert {next(iter(param)) for param in search["params"]} <= params
    space = yaml.safe_load((ROOT / "conf/tune.yaml").read_text())["tune"]["space"]
    assert {f"conf/optimizer/{name}.yaml" for name in space["optimizer"]["name"]} <= params
    assert "conf/tune.yaml" in params
    modules = {f"pipeline/tuning/{path.name}" for path in (ROOT / "pipeline/tuning").glob("[a-z]*.py")}
    assert modules | {"pipeline/runs/race.py", "pipeline/runs/tune.py"} <= {dep.split(" ")[0] for dep in TUNING["deps"]}
    assert not [
        dep
        for dep in TUNING["deps"]
        if dep.startswith("pipeline/") and not (ROOT / filled(dep, "copy", "rnn")).exists()
    ]


def test_choosing_again_depends_on_all_that_a_choice_does_and_has_no_out_that_the_report_waits_for() -> None:
    shown = {"pipeline/figures", "pipeline/records/tuned_file.py"}  # by which a choice is shown and kept
    assert set(TUNING["deps"]) - shown | {"pipeline/runs/retune.py", "pipeline/records/choices.py", TUNED} == set(
        RETUNING["deps"]
    )
    files = [
        {name: sections for param in stage["params"] for name, sections in param.items()}
        for stage in (TUNING, RETUNING)
    ]
    assert files[0] | {"conf/retune.yaml": None} == files[1]
    assert "outs" not in RETUNING and RETUNING["wdir"] == "../../.."


def test_git_tracks_nothing_that_dvc_keeps() -> None:
    """Else DVC refuses to run the stage again. All pipelines: the main one, that of the tuning, and the papers'."""
    kept = [Path(out.fs_path).relative_to(ROOT) for out in Repo(str(ROOT)).index.outs if out.use_cache]
    assert {path.parts[0] for path in kept} == {"data", "results"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = {Path(line) for line in listed.splitlines()}
    assert [path for path in tracked if {path, *path.parents} & set(kept)] == []
