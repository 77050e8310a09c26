"""When a replica has left the plateau of chance: the rule, and that luck does not do it."""

import numpy as np
import torch

from pipeline.data import streams
from pipeline.learning.objective import objective
from pipeline.learning.replicas import CLEARLY
from pipeline.runs.trial import result
from pipeline.tasks.task import Task
from tests.learning.trials import small, train


def test_an_answer_that_ignores_the_input_is_never_clearly_better_than_chance(task: Task) -> None:
    """The best constant answer of each of forty held-out sets, chosen after the fact."""
    for seed in range(40):
        targets = task.sample(streams.held_out(seed, 40), 40, 1000).targets
        assert min(scores(task, targets)) > CLEARLY * task.chance


def scores(task: Task, targets: np.ndarray) -> list[float]:
    shape = (1, *targets.shape[:2], task.outputs)
    if targets.dtype == np.float32:
        answers = [torch.full(shape, float(value)) for value in np.quantile(targets, np.linspace(0, 1, 9))]
    else:
        classes = torch.eye(task.outputs)
        answers = [row.expand(shape) for row in classes]
    return [float(objective(task.kind).score(answer, torch.from_numpy(targets[None]))) for answer in answers]


def test_every_goal_lies_beyond_the_plateau(task: Task) -> None:
    assert task.goal < task.loose_goal < CLEARLY * task.chance


def test_the_decay_is_told_at_the_first_update_and_where_the_plateau_ends() -> None:
    settings = small("temporal_order", "gru", "training.updates=150", "optimizer.lr=0.03", "training.probe_every=10")
    done = train(settings, [0, 1, 2])
    probes = done.probed
    for position, row in enumerate(done.outcomes):
        below = [u for u, score in zip(probes, done.curves[position], strict=False) if score < CLEARLY * 0.75]
        assert row.updates_to_exit == (below[0] if below else None)
        assert (row.decay_exit is None) == (row.updates_to_exit is None)
    first = done.recorder.through_time[0].log2_norms["h"]
    slopes = [np.polyfit(np.arange(12), norms, 1)[0] for norms in first]
    np.testing.assert_allclose([row.decay_init for row in done.outcomes], 2.0 ** -np.array(slopes), rtol=1e-5)
    columns = result(done, 150).figures
    left = [row.decay_exit for row in done.outcomes if row.decay_exit is not None]
    assert columns["exited"] == len(left) > 0
    assert np.isclose(columns["decay_init"], np.median([row.decay_init for row in done.outcomes]), rtol=1e-5)
    assert np.isclose(columns["decay_exit"], np.median(left), rtol=1e-5)
    assert np.isclose(columns["reach_init"], -1 / np.log(columns["decay_init"]), rtol=1e-4)
