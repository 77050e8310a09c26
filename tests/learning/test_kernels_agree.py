"""The kernels are ways to the same training: rounding apart, and who solves is the same."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.kernels import build
from pipeline.learning.replicas import TrainedReplicas
from tests.conftest import options
from tests.kernels.oracle import NOISE
from tests.kernels.together import compiled_together
from tests.learning.trials import norms_of, small, train

pytestmark = pytest.mark.skipif(not build.available(), reason="no compiler")

EASY = [  # a goal that replicas reach soon, if not all of them by the last update
    ("adding", "gru", "training.length=6 task.goal=0.05 task.loose_goal=0.1", 120),
    ("copy", "rnn", "training.length=2 task.goal=0.5 task.loose_goal=0.6", 120),
    ("temporal_order", "lstm", "training.length=10 task.goal=0.35 task.loose_goal=0.5", 160),
]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("task", ["adding", "copy", "temporal_order"])
def test_both_kernels_take_the_same_first_steps(task: str, cell: str) -> None:
    """Before chaos has made much of a rounding difference: losses, gradients and norms through time of 10 updates."""
    curves: dict[str, dict[int, dict[str, float]]] = {"torch": {}, "fused": {}}
    results = {
        kernel: train(small(task, cell, "training.updates=10", f"training.kernel={kernel}"), range(4), curve)
        for kernel, curve in curves.items()
    }
    for update in range(1, 11):
        one, other = curves["torch"][update], curves["fused"][update]
        assert one["loss/training"] == pytest.approx(other["loss/training"], rel=1e-5), update
        assert one["gradient/norm"] == pytest.approx(other["gradient/norm"], rel=1e-4), update
    for replica in range(4):
        ours, theirs = norms_of(results["torch"], replica), norms_of(results["fused"], replica)
        for update, norms in ours.items():
            np.testing.assert_allclose(theirs[update], norms, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("task", "cell", "recipe", "updates"), EASY)
def test_both_kernels_solve_with_the_same_replicas(task: str, cell: str, recipe: str, updates: int) -> None:
    def run(kernel: str) -> TrainedReplicas:
        sizes = ["cell.hidden=16", "training.batch=16", "training.probe_every=10", "data.held_out=200"]
        options = ["optimizer.lr=0.01", f"training.updates={updates}", f"training.kernel={kernel}"]
        return train(small(task, cell, *sizes, *recipe.split(), *options), range(4))

    by_torch, by_fused = (run(kernel).outcomes for kernel in ("torch", "fused"))
    assert any(row.solved for row in by_fused)
    for one, other in zip(by_torch, by_fused, strict=True):
        assert (one.solved, one.updates_to_solve) == (other.solved, other.updates_to_solve)
        assert one.best_score == pytest.approx(other.best_score, rel=0.05, abs=0.006)  # one sequence in 200


QUICK = ("irnn", "lem", "s6")  # one product a step, two, and one that is not written as C++; the others are long
CELLS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in options("cell")]
SHORT = "training.length=6 training.updates=60 training.probe_every=10 optimizer.lr=0.03 task.goal=0.08"
SHORT += " task.loose_goal=0.1"


@pytest.fixture(scope="module")
def one_library(request: pytest.FixtureRequest) -> Iterator[None]:
    """For the cells that are asked for."""
    mine = [item for item in request.session.items if item.path == request.path and "one_library" in item.fixturenames]
    asked = {item.callspec.params["cell"] for item in mine}

    def cells(dtype: torch.dtype) -> list[Cell]:
        return [small("adding", name, *SHORT.split()).cell.for_length(6) for name in sorted(asked)]

    with compiled_together(cells):
        yield


@pytest.mark.usefixtures("one_library")
@pytest.mark.parametrize("cell", CELLS)
def test_all_kernels_lead_every_cell_to_the_same_end(cell: str) -> None:
    """Who solves, at which probe, and the norms through time of the first update; autograd is asked elsewhere."""

    def run(kernel: str) -> TrainedReplicas:
        return train(small("adding", cell, *SHORT.split(), f"training.kernel={kernel}"), range(3))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cell that one of them cannot serve
        slow, replayed = run("stepwise"), run("torch")
        try:
            results = [replayed, run("fused")]
        except UserError as refused:
            assert "three axes" in str(refused)
            results = [replayed]
    for found in results:
        for one, other in zip(found.outcomes, slow.outcomes, strict=True):
            assert (one.solved, one.updates_to_solve) == (other.solved, other.updates_to_solve)
        first = [record.recorder.through_time[0].log2_norms for record in (found, slow)]
        for part in first[0].keys() - NOISE.get(cell, ()):
            np.testing.assert_allclose(first[0][part], first[1][part], rtol=0, atol=1e-3)
