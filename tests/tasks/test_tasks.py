"""What every task of conf/task promises."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch.nn import functional

from pipeline.data import streams
from pipeline.learning.batches import training_sequences
from pipeline.learning.objective import objective, squared_error_loss
from pipeline.tasks.task import Batch, Task

SEEDS = st.integers(0, 2**63 - 1)


def same(one: Batch, other: Batch) -> bool:
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in ((one.inputs, other.inputs), (one.targets, other.targets))
    )


@examples(max_examples=60, deadline=None)
@given(extra=st.integers(0, 90), batch=st.integers(1, 9), seed=SEEDS)
def test_a_batch_has_the_shapes_and_types_that_the_task_declares(task: Task, extra: int, batch: int, seed: int) -> None:
    length = task.shortest + extra
    drawn = task.sample(streams.training(seed, 0, 1), length, batch)
    symbols = drawn.inputs.dtype == np.uint8
    assert symbols == task.symbols
    assert drawn.inputs.shape == (task.steps(length), batch) + (() if symbols else (task.channels,))
    assert symbols or drawn.inputs.dtype == np.float32
    assert not symbols or drawn.inputs.max() < task.channels
    assert task.answers <= task.steps(length) >= length
    if objective(task.kind).loss is squared_error_loss:
        assert drawn.targets.shape == (task.answers, batch, task.outputs)
        assert drawn.targets.dtype == np.float32
    else:
        assert drawn.targets.shape == (task.answers, batch)
        assert drawn.targets.dtype == np.int64
        assert drawn.targets.min() >= 0
        assert drawn.targets.max() < task.outputs


@examples(max_examples=30, deadline=None)
@given(extra=st.integers(0, 60), seed=SEEDS, replica=st.integers(0, 10**6), update=st.integers(0, 10**9))
def test_the_same_stream_gives_the_same_batch(task: Task, extra: int, seed: int, replica: int, update: int) -> None:
    one, other = (task.sample(streams.training(seed, replica, update), task.shortest + extra, 5) for _ in range(2))
    assert same(one, other)


def test_batches_are_the_same_in_whatever_order_they_are_drawn(task: Task) -> None:
    length = task.shortest + 20
    keys = [(replica, update) for replica in range(3) for update in range(1, 5)]
    forward = {key: task.sample(streams.training(7, *key), length, 4) for key in keys}
    backward = {key: task.sample(streams.training(7, *key), length, 4) for key in reversed(keys)}
    assert all(same(forward[key], backward[key]) for key in keys)


def test_other_seeds_replicas_updates_and_purposes_give_other_batches(task: Task) -> None:
    length = task.shortest + 40
    randoms = [
        streams.training(1, 0, 1),
        streams.training(2, 0, 1),
        streams.training(1, 1, 1),
        streams.training(1, 0, 2),
    ]
    drawn = [task.sample(random, length, 8) for random in [*randoms, streams.held_out(1, length)]]
    assert len({batch.inputs.tobytes() for batch in drawn}) == 5


def test_batches_have_the_lengths_that_the_task_declares(task: Task) -> None:
    """All of L … L + floor(stretch L) - 1, the same for all replicas of an update; L alone without a stretch."""
    length = task.shortest + 33
    drawn = [training_sequences(task, 0, [0, 5], update, length, 1, "cpu").inputs.shape[1] for update in range(150)]
    assert set(drawn) == {task.steps(length + extra) for extra in range(max(1, int(task.stretch * length)))}


def constants(task: Task, targets: np.ndarray) -> list[torch.Tensor]:
    """Answers that ignore the input, on a grid of numbers or one a class."""
    shape = (*targets.shape[:3], task.outputs)
    if targets.dtype == np.float32:
        grid = np.linspace(targets.min(), targets.max(), 41)
        return [torch.full(shape, float(value)) for value in grid]
    return [functional.one_hot(torch.tensor(c), task.outputs).float().expand(shape) for c in range(task.outputs)]


def test_chance_is_the_score_of_the_best_constant_answer(task: Task) -> None:
    length, groups = task.shortest + 13, 40
    drawn = task.sample(streams.held_out(3, length), length, groups * 1000).targets
    targets = np.stack(np.split(drawn, groups, axis=1))
    score = objective(task.kind).score
    scores = [score(answer, torch.from_numpy(targets)).double() for answer in constants(task, targets)]
    best = min(scores, key=lambda each: float(each.mean()))
    assert float(best.mean()) == pytest.approx(task.chance, abs=5 * float(best.std()) / np.sqrt(groups))


def test_the_goals_lie_between_perfect_and_chance(task: Task) -> None:
    assert 0 < task.goal < task.loose_goal < task.chance


def test_progress_is_0_at_chance_and_1_at_the_goal_and_rises_as_the_score_falls(task: Task) -> None:
    assert (task.progress(task.chance), task.progress(task.goal)) == (0, 1)
    between = (task.chance * task.goal) ** 0.5
    assert task.progress(between) == pytest.approx(0.5)
    assert task.progress(2 * task.chance) < 0 < 1 < task.progress(task.goal / 2)


def test_the_source_names_a_publication_with_its_year(task: Task) -> None:
    assert "arXiv:" in task.source or "doi:" in task.source
