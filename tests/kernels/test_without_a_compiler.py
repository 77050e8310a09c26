"""A machine that has no compiler, and never had one: the torch path does all the work, after one warning."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.base.commands import COLD, ROOT, paths

SIZES = (
    "task=temporal_order cell=gru cell.hidden=6 training.length=10 training.updates=6 training.replicas=2 "
    "training.batch=4 training.probe_every=3 training.record_every=2 data.held_out=20 search.length_max=12"
)


def test_train_works_with_no_compiler_and_an_empty_cache(tmp_path: Path) -> None:
    """Of all programs only git is on the PATH, for MLflow names the commit."""
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    environment = {name: value for name, value in COLD.items() if name != "CXX"}
    environment |= {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "pipeline.train", *SIZES.split(), *paths(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the fused kernels cannot be built, torch takes their place: no C++ compiler found") == 1
    assert not list((tmp_path / "cache").rglob("*.so"))
    outcome = json.loads((tmp_path / "results/train/temporal_order-gru/outcome.json").read_text())
    assert [row["updates_run"] for row in outcome["replicas"]] == [6, 6]
    assert outcome["gradient"]["gradient/decay"] > 0
