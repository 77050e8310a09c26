"""What README and its pages promise can be typed in."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import yaml
from dvc.cli import parse_args

from pipeline import search
from tests.base.commands import COLD, ROOT, cold_run, copy_of_the_project, paths, run
from tests.base.readme import PAGES, blocks, filled
from tests.conftest import run_stage

README = (ROOT / "README.md").read_text()
QUICK = (
    "training.updates=40",
    "training.probe_every=20",
    "data.held_out=50",
    "search.trials=2",
    "training.replicas=2",
    "cell.hidden=4",
    "tune.first=2",
    "tune.settings=2",
    "tune.generations=1",
    "tune.finalists=1",
    "tune.seeds=1",
    "tune.rates=2",
    "tune.rate_seeds=1",
)
CONTRACTS = ("tests/cells/test_cells.py", "tests/cells/test_equations.py", "tests/tuning/test_space.py")


DVC = re.findall(r"^dvc (.*?)(?: {2,}#.*)?$", "\n".join(blocks("bash")), flags=re.MULTILINE)
TYPED = re.findall(r"python -m pipeline\.(\w+)([^#\n]*)", "\n".join(blocks("bash")))
COMMANDS = sorted({(name, " ".join(words.split())) for name, words in TYPED})


@pytest.mark.slow
@pytest.mark.parametrize(("module", "arguments"), [command for command in COMMANDS if command[0] != "report"])
def test_every_command_of_the_readme_runs(module: str, arguments: str, tmp_path: Path) -> None:
    given = arguments.split()
    names = {word.partition("=")[0] for word in given}
    quick = [word for word in QUICK if word.partition("=")[0] not in names]
    given += [*quick, "tracking.enabled=false", *paths(tmp_path)]
    if module == "retune":  # needs a first choice
        assert run("tune", *given).returncode == 0
    first = arguments == next(words for name, words in COMMANDS if name == module)
    done = (cold_run if first else run)(module, *given)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_cell_of_the_readme_can_be_added_and_measured(tmp_path: Path) -> None:
    folder = copy_of_the_project(tmp_path)
    (folder / "pipeline/cells/leaky.py").write_text(next(block for block in blocks("python") if "LeakyRNN" in block))
    (folder / "conf/cell/leaky.yaml").write_text(blocks("yaml")[0])
    done = run("search", "task=adding", "cell=leaky", "tracking.enabled=false", "publish=true", *QUICK, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "results/search/adding-leaky/horizon.json").exists()
    contract = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-q", "-k", "leaky", *CONTRACTS]
    held = subprocess.run(contract, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True)
    assert held.returncode == 0 and b" passed" in held.stdout, held.stdout.decode()


def test_the_tables_of_the_readme_are_those_of_the_result_files() -> None:
    for page in PAGES:
        assert filled(page.read_text()) == page.read_text(), page
    assert README.count("| temporal order |") == 3


def test_the_sampler_on_a_toy_finds_what_the_toy_hides(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    exec(next(block for block in blocks("python") if "HorizonSampler" in block), scope)
    assert scope["lower"] < 100 < scope["upper"] < 1.5 * scope["lower"]
    assert "trials" in capsys.readouterr().out


def test_make_knows_the_targets_that_the_readme_names() -> None:
    for target in re.findall(r"\bmake (repro|test|check|ui|notebooks|bench|tune|retune|papers)\b", README):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, env=COLD, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_folders_that_the_readme_draws_exist() -> None:
    fenced = README.split("```")[1::2]
    tree = next(block for block in fenced if block.startswith("\n") and "pipeline/" in block)
    named = re.findall(r"([\w/]+(?:/|\.py|\.yaml))", tree)
    below = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts}
    missing = [name for name in named if not any(path.endswith(name.rstrip("/")) for path in below)]
    assert missing == []


@pytest.mark.parametrize("command", DVC)
def test_dvc_knows_the_commands_of_the_readme(command: str) -> None:
    """Whether they give what README says is tested in test_repro, on a project that has results."""
    parse_args(shlex.split(command))


def test_every_link_leads_to_a_file() -> None:
    missing = [
        (page.relative_to(ROOT), link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert missing == []


def test_every_picture_of_the_readme_is_made_by_a_stage() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    named = {out if isinstance(out, str) else next(iter(out)) for stage in stages.values() for out in stage["outs"]}
    outs = [re.escape(out).replace(r"\$\{item\.task\}", r"\w+").replace(r"\$\{item\.cell\}", r"\w+") for out in named]
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(pictures) == 3
    for picture in pictures:
        assert any(re.fullmatch(rf"{out}(/.*)?", picture) for out in outs), picture


def test_the_commands_that_are_installed_are_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        assert target == f"pipeline.{name.removeprefix('horizon-')}:main"
        assert callable(resolve_name(target))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("task=te", {"task=temporal_order", "task=temporal_order_3"}), ("cell=lstm cell.forg", {"cell.forget_bias="})],
)
def test_the_shell_completes_parts_and_settings(typed: str, offered: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"horizon-search {typed}"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    ended = run_stage(search.main, "-sc query=bash")
    assert (ended.status, set(ended.out.split())) == (0, offered)
