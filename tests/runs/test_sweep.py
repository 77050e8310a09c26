"""Searches side by side: one that fails ends no other."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import sweep
from pipeline.runs import search
from tests.base.commands import paths
from tests.conftest import run_stage
from tests.runs.test_search import SMALL

GRID = ["sweep.tasks=[temporal_order]", "sweep.cells=[rnn,gru]"]
SIZES = [word for word in SMALL if not word.startswith(("task=", "cell="))]


@pytest.mark.slow
def test_a_search_that_fails_ends_no_other_and_is_named_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = search.write

    def broken(folder: Path, settings: object, trials: object, found: object) -> None:
        if found.cell == "rnn":  # type: ignore[attr-defined]
            raise ValueError("no rnn today")
        write(folder, settings, trials, found)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "write", broken)
    ended = run_stage(sweep.main, [*GRID, *SIZES, "search.trials=2", "training.threads=1", *paths(tmp_path)])
    assert ended.status == 2
    assert ended.err == "error: 1 of 2 searches failed: temporal_order-rnn: no rnn today\n"
    assert "temporal_order-rnn: failed: no rnn today" in ended.out
    assert [path.name for path in (tmp_path / "results/search").iterdir()] == ["temporal_order-gru"]
    client = MlflowClient(f"sqlite:///{tmp_path / 'state' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'temporal_order'")
    runs = client.search_runs([experiment.experiment_id], "tags.level = 'parent'")
    ended = {run.info.run_name.partition(" · ")[0]: run.info.status for run in runs}
    assert ended == {"rnn": "FAILED", "gru": "FINISHED"}
