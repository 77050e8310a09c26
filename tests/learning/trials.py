"""Small trainings for the tests of learning."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch

from pipeline.data.held_out import draw
from pipeline.learning.replicas import TrainedReplicas, train_replicas
from pipeline.settings import Settings
from tests.conftest import compose

Curve = Mapping[str, float]


def small(task: str, cell: str, *overrides: str) -> Settings:
    """Settings of a training that takes a fraction of a second."""
    sizes = ["cell.hidden=8", "training.batch=6", "training.length=12", "training.updates=12", "data.held_out=40"]
    rates = ["training.probe_every=5", "training.record_every=1", "training.threads=1", "training.kernel=torch"]
    return compose(f"task={task}", f"cell={cell}", *sizes, *rates, *overrides)


def train(
    settings: Settings, seeds: Sequence[int], curves: dict[int, dict[str, float]] | None = None
) -> TrainedReplicas:
    """Run a training; `curves` takes what is shown on the way, by update."""
    held_out = draw(settings.task, settings.data.seed, settings.training.length, settings.data.held_out)
    seen = {} if curves is None else curves

    def watch(update: int, figures: Curve) -> None:
        seen.setdefault(update, {}).update(figures)

    parts = settings.task, settings.cell, settings.optimizer
    return train_replicas(*parts, settings.training, settings.training.length, seeds, held_out, watch)


def norms_of(result: TrainedReplicas, position: int) -> dict[int, np.ndarray]:
    """log2 ‖∂L/∂h_t‖ of one replica by update."""
    rows = {record.update: np.flatnonzero(record.positions == position) for record in result.recorder.through_time}
    records = {record.update: record.log2_norms["h"] for record in result.recorder.through_time}
    return {update: records[update][row[0]] for update, row in rows.items() if len(row)}


def assert_alike(together: TrainedReplicas, position: int, alone: TrainedReplicas, tolerance: float = 1e-4) -> None:
    """A replica among others went the way that it goes alone."""
    one, other = asdict(together.outcomes[position]), asdict(alone.outcomes[0])
    for name in ("best_score", "decay_init", "decay_exit"):
        pair = [np.float64(np.nan if row[name] is None else row.pop(name)) for row in (one, other)]
        np.testing.assert_allclose(*pair, rtol=1e-3)
    assert one == other
    torch.testing.assert_close(together.weights[position], alone.weights[0], rtol=0, atol=tolerance)
    ours, theirs = norms_of(together, position), norms_of(alone, 0)
    assert ours.keys() == theirs.keys()
    for update, norms in theirs.items():
        np.testing.assert_allclose(ours[update], norms, rtol=0, atol=100 * tolerance)
