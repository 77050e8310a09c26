"""A stage imports what it uses, and a command is thin."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.settings.test_start import started

COMMANDS = sorted(path for path in (ROOT / "pipeline").glob("*.py") if not path.name.startswith("__"))


def test_a_training_that_shows_no_runs_imports_neither_mlflow_nor_optuna(tmp_path: Path) -> None:
    paths = [f"paths.{name}={tmp_path / name}" for name in ("data", "results", "state")]
    sizes = ["training.updates=2", "training.replicas=1", "training.length=10", "search.length_max=12"]
    line = ["task=temporal_order", "cell=rnn", "data.held_out=4", "training.threads=1", "tracking.enabled=false"]
    modules, printed = started("train", [*line, *sizes, *paths])
    assert "best score" in printed
    assert not modules & {"mlflow", "optuna", "scipy", "sqlalchemy", "dvc"}


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_is_its_help_and_one_call(path: Path) -> None:
    """It imports its library inside `main`, so that a mistake is answered at once; and it is no library itself."""
    text = path.read_text()
    assert len(text.splitlines()) <= 75
    tree = ast.parse(text)
    modules = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {module for module in modules if module.startswith("pipeline")} <= {
        "pipeline.base.errors",
        "pipeline.base.lines",
        "pipeline.settings",
    }
    assert "Return" not in (ast.get_docstring(tree) or "") and 'if __name__ == "__main__":\n    main()' in text
