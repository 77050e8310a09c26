"""The torch path and the fused path are two ways to the same training: rounding apart, and who solves is the same."""

import numpy as np
import pytest

from pipeline.kernels import fused
from pipeline.learning.replicas import TrainedReplicas
from tests.learning.trials import norms_of, small, train

pytestmark = pytest.mark.skipif(not fused.available(), reason="no compiler")

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
