"""SGD and SGD-C of Pascanu et al. 2013 are one trajectory as long as the clip never fires: the sign of vanishing."""

import numpy as np
import pytest
import torch

from pipeline.learning.replicas import TrainedReplicas
from tests.learning.trials import small, train

REPLICAS = range(4)


def trained(clip: float, curves: dict[int, dict[str, float]] | None = None) -> TrainedReplicas:
    """Twenty updates of plain SGD on the temporal order problem."""
    recipe = (
        "cell.init=basic_tanh",
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "training.updates=20",
        "training.kernel=auto",
    )
    return train(small("temporal_order", "rnn", *recipe, f"training.clip={clip}"), REPLICAS, curves)


def norms(done: TrainedReplicas) -> np.ndarray:
    """The gradient's norm before clipping in each update, [update, replica]."""
    return np.stack([record.norms for record in done.recorder.through_time])


def ever_clipped(done: TrainedReplicas, clip: float) -> set[int]:
    """Whose gradient was scaled down in any update."""
    return set(np.flatnonzero((norms(done) > clip).any(axis=0)).tolist())


def test_a_clip_that_never_fires_changes_no_bit() -> None:
    free: dict[int, dict[str, float]] = {}
    clipped: dict[int, dict[str, float]] = {}
    one, other = trained(torch.inf, free), trained(1.0, clipped)
    assert norms(one).max() < 1
    assert all(curve["gradient/clipped"] == 0 for curve in clipped.values() if "gradient/clipped" in curve)
    assert free == clipped
    assert torch.equal(one.weights, other.weights)


def test_a_clip_that_fires_changes_the_way_of_those_whom_it_meets_and_of_no_other() -> None:
    free = trained(torch.inf)
    peaks = norms(free)[:-1].max(axis=0)  # what the last update does is seen no more
    between = float(np.sort(peaks)[1:3].mean())
    clipped = trained(between)
    met = ever_clipped(clipped, between)
    assert met >= {replica for replica in REPLICAS if peaks[replica] > between}
    assert 0 < len(met) < 4
    for replica in REPLICAS:
        same = np.array_equal(norms(free)[:, replica], norms(clipped)[:, replica])
        assert same == (replica not in met)


@pytest.mark.parametrize("clip", [1e-3, 1e-30])
def test_a_clip_below_every_gradient_meets_all(clip: float) -> None:
    assert ever_clipped(trained(clip), clip) == set(REPLICAS)
