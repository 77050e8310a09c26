"""The training loop: when it probes, what it keeps, when it ends."""

import numpy as np
import pytest
import torch
from numpy import ndarray

from pipeline.base.errors import UserError
from pipeline.cells.rnn import RNN
from pipeline.data.held_out import draw
from pipeline.learning import batches, fit
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences, shared_sequences
from pipeline.learning.first_look import Scores, Wanted
from pipeline.learning.fit import Problem
from pipeline.learning.model import Model
from pipeline.learning.objective import objective
from pipeline.learning.replicas import problem, train_replicas
from pipeline.tasks.task import Batch
from tests.learning.trials import small, train


class Scripted:
    """Scores that are given out instead of those of the models, and the weights at each probe."""

    def __init__(self, *scores: list[float]) -> None:
        self.scores, self.rows = list(scores), list[torch.Tensor]()

    def __call__(self, model: Model, problem: Problem, wanted: Wanted) -> Scores:
        self.rows.append(model.rows.detach().clone())
        scores = np.array(self.scores[len(self.rows) - 1], dtype=np.float32)
        return Scores(scores, scores, np.full(len(scores), 40), 40)


def test_the_best_weights_and_scores_so_far_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted([0.09, 0.12], [0.04, 0.11], [0.06, np.nan], [0.05, 0.14])
    monkeypatch.setattr("pipeline.learning.fit.probe", script)
    result = train(small("adding", "rnn", "training.updates=20"), [0, 1])
    assert torch.equal(result.weights[0], script.rows[1][0])
    assert torch.equal(result.weights[1], script.rows[1][1])
    assert [outcome.best_score for outcome in result.outcomes] == [pytest.approx(0.04), pytest.approx(0.11)]
    assert [outcome.updates_to_loose_goal for outcome in result.outcomes] == [10, None]
    assert not any(outcome.solved for outcome in result.outcomes)


def test_a_replica_ends_at_the_first_probe_below_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted([0.02, 0.01, 0.3], [0.009, 0.01, 0.3], [0.01, 0.009], [0.009])
    monkeypatch.setattr("pipeline.learning.fit.probe", script)
    result = train(small("adding", "rnn", "training.updates=100"), [0, 1, 2])
    assert [outcome.updates_to_solve for outcome in result.outcomes] == [10, 20, 15]
    assert [outcome.updates_run for outcome in result.outcomes] == [10, 20, 15]
    assert [len(rows) for rows in script.rows] == [3, 3, 2, 1]
    assert torch.equal(result.weights[0], script.rows[1][0])
    assert torch.equal(result.weights[2], script.rows[2][1])
    assert result.cost == 12 * (10 + 20 + 15)


def test_probes_are_at_their_interval_and_at_the_last_update() -> None:
    curves: dict[int, dict[str, float]] = {}
    train(small("adding", "rnn", "training.updates=12", "training.probe_every=5"), [0], curves)
    assert [update for update, curve in curves.items() if "score/held_out" in curve] == [5, 10, 12]


def test_gradients_are_recorded_at_their_interval_and_at_the_first_update() -> None:
    curves: dict[int, dict[str, float]] = {}
    result = train(small("adding", "rnn", "training.updates=12", "training.record_every=4"), [0], curves)
    assert [record.update for record in result.recorder.through_time] == [1, 4, 8, 12]
    assert [update for update, curve in curves.items() if "gradient/norm" in curve] == [1, 4, 8, 12]


def test_sequences_are_drawn_for_some_updates_at_once_and_are_those_of_each() -> None:
    settings = small("adding", "rnn", "training.updates=33", "training.probe_every=15")
    posed = problem(settings.task, settings.training, 12, [3, 1, 4], draw(settings.task, 0, 12, 8))
    asked: list[int] = []

    def noted(running: ndarray, update: int) -> Sequences:
        asked.append(update)
        return posed.draw(running, update)

    feed = batches.Feed(noted, settings.training.probe_every, settings.training.updates)
    for update in range(1, 34):
        running = np.array([0, 1, 2] if update < 4 else [0, 2] if update < 20 else [2])
        given, expected = feed.take(running, update), posed.draw(running, update)
        assert torch.equal(given.inputs, expected.inputs) and torch.equal(given.targets, expected.targets)
        if update in (1, 11, 16, 26, 31):  # never beyond a probe, nor beyond the budget
            assert asked[-1] == {1: 10, 11: 15, 16: 25, 26: 30, 31: 33}[update]
    assert asked == list(range(1, 34))


def test_long_sequences_are_drawn_one_update_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small("adding", "rnn")
    posed = problem(settings.task, settings.training, 12, [0], draw(settings.task, 0, 12, 8))
    monkeypatch.setattr(batches, "ROOM", 1)
    feed = batches.Feed(posed.draw, settings.training.probe_every, settings.training.updates)
    feed.take(np.array([0]), 1)
    assert not feed.waiting


@pytest.mark.parametrize("kernel", ["torch", "auto", "stepwise"])
def test_the_same_settings_give_the_same_outcomes(kernel: str) -> None:
    settings = small("copy", "lstm", f"training.kernel={kernel}")
    one, other = (train(settings, [2, 7]) for _ in range(2))
    assert one.outcomes == other.outcomes
    assert one.recorder.curves == other.recorder.curves
    assert torch.equal(one.weights, other.weights)
    for first, second in zip(one.recorder.through_time, other.recorder.through_time, strict=True):
        assert all(np.array_equal(first.log2_norms[name], second.log2_norms[name]) for name in ("h", "c"))


def test_another_seed_is_another_training() -> None:
    one, other = (train(small("copy", "lstm", f"training.seed={seed}"), [2]) for seed in (0, 1))
    assert not torch.equal(one.weights, other.weights)


@pytest.mark.parametrize(("count", "every"), [(1000, 37), (250, 1), (37, 1), (4001, 401)])
def test_a_share_of_wrong_answers_is_exact(count: int, every: int) -> None:
    """A model that always answers 0, on sequences of which `wrong` have another answer."""
    rows, layout = models.begin(RNN(3, "torch"), 6, 4, 0, [0, 1])
    weights = layout.views(rows.zero_())
    weights["readout.bias"][:, 0] = 1
    model = Model(RNN(3, "torch"), layout, rows, "torch", 1)
    for wrong in {*range(0, count, every), 1, 10, count}:
        targets = (np.arange(count) < wrong).astype(np.int64)[None]
        batch = Batch(np.zeros((2, count), np.uint8), targets)
        problem = Problem(
            lambda *_: None, lambda r, b=batch: shared_sequences(b, r, "cpu"), objective("classification"), 1
        )  # type: ignore[arg-type, return-value, misc]
        scores = fit.evaluate(model, problem)
        assert not (scores < wrong / count).any()
        assert (scores < (wrong + 1) / count).all()


def test_a_length_that_is_too_short_for_the_task_is_refused() -> None:
    settings = small("temporal_order", "rnn")
    parts = settings.task, settings.cell, settings.optimizer, settings.training
    with pytest.raises(UserError, match=r"^training\.length must be at least 10 for this task; got 9$"):
        train_replicas(*parts, 9, [0], draw(settings.task, 1, 12, 10))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"^training\.device must be there; this machine has no CUDA; got 'cuda'$"):
        train(small("adding", "rnn", "training.device=cuda"), [0])
