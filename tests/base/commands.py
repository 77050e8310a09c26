"""Running the project's commands as a user does, with stores and results of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.base import warm

ROOT = Path(__file__).parents[2]
COLD = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))} | {
    "OMP_NUM_THREADS": "1",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}

SMALL = {
    "conf/config.yaml": {"held_out": 100, "probe_every": 20, "trials": 3, "length_max": 40},
    "conf/explain.yaml": {"group": 2, "round": 2, "failing": 2},
    "conf/task/temporal_order.yaml": {"updates": 60, "length": 12},
}


def paths(folder: Path) -> list[str]:
    """Overrides that keep everything a command writes below `folder`."""
    return [f"paths.{name}={folder / name}" for name in ("data", "results", "state", "tuned")]


def environment() -> dict[str, str]:
    """Return an environment whose `python` and `dvc` are those of tests.base.warm, without anybody's stores."""
    return COLD | {"PATH": f"{warm.programs()}{os.pathsep}{COLD['PATH']}"}


def start(module: str, *overrides: str, cwd: Path = ROOT) -> subprocess.Popen[str]:
    """Start a command that runs beside the test."""
    command = ["python", "-m", f"pipeline.{module}", *overrides]
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(module: str, *overrides: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    process = start(module, *overrides, cwd=cwd)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def dvc(folder: Path, *arguments: str) -> str:
    """Return what a command of DVC says in a project."""
    done = subprocess.run(["dvc", *arguments], cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cold_run(module: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The same from nothing, with all imports, as a user starts it."""
    command = [sys.executable, "-m", f"pipeline.{module}", *overrides]
    return subprocess.run(command, cwd=ROOT, env=COLD, text=True, capture_output=True, timeout=300)


def copy_of_the_project(folder: Path) -> Path:
    """The working tree, without what git ignores and without results, as a git repository of its own."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file() and not name.startswith(("results/", "data/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
            (folder / name).chmod((ROOT / name).stat().st_mode)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "copy"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def small_project(place: Path) -> Path:
    """A copy with one task, two cells and settings that take seconds."""
    folder = copy_of_the_project(place)
    for name, values in SMALL.items():
        edit(folder / name, values)
    (folder / "conf/grid.yaml").write_text("grid: {tasks: [temporal_order], cells: [rnn, gru]}\n")
    (folder / "results/retune").mkdir(parents=True, exist_ok=True)  # a clone has it
    return folder


def edit(path: Path, values: dict[str, Any]) -> None:
    """Give settings of a YAML file other values."""
    text = path.read_text()
    for name, value in values.items():
        text, count = re.subn(rf"^(  {name}): \S+", rf"\1: {value}", text, flags=re.MULTILINE)
        assert count == 1, (path, name)
    path.write_text(text)
