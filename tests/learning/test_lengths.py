"""Lengths that are drawn for each update, and weights that are tested at other lengths."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import train as stage
from pipeline.base.errors import UserError
from pipeline.data.held_out import draw
from pipeline.learning.batches import training_sequences
from pipeline.learning.replicas import scores
from pipeline.tasks.temporal_order import TemporalOrder
from tests.conftest import compose, run_stage
from tests.learning.trials import small, train

TASK = TemporalOrder(goal=0.01, loose_goal=0.1)


def lengths(seed: int, updates: int, shortest: int | None, longest: int, replicas: tuple[int, ...] = (0,)) -> list[int]:
    """The lengths of the first updates."""
    drawn = (training_sequences(TASK, seed, replicas, u, longest, 1, "cpu", shortest) for u in range(1, updates + 1))
    return [sequences.inputs.shape[1] for sequences in drawn]


def test_every_length_between_the_two_is_drawn_equally_often() -> None:
    seen = np.bincount(lengths(1, 2000, 11, 14), minlength=15)
    assert (seen[:11] == 0).all()
    assert np.abs(seen[11:] - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_the_length_of_an_update_depends_on_the_seed_alone() -> None:
    assert lengths(3, 20, 10, 40) == lengths(3, 20, 10, 40, replicas=(7, 2))
    assert lengths(3, 20, 10, 40) != lengths(4, 20, 10, 40)


def test_without_a_shortest_length_all_updates_have_the_longest() -> None:
    assert set(lengths(3, 20, None, 17)) == set(lengths(3, 20, 17, 17)) == {17}
    one, other = (training_sequences(TASK, 0, [0, 1], 5, 17, 4, "cpu", shortest) for shortest in (None, 17))
    assert torch.equal(one.inputs, other.inputs)


def test_the_cost_is_what_was_run() -> None:
    done = train(small("temporal_order", "rnn", "training.length=30", "training.shortest=10"), [0, 1])
    steps = [record.log2_norms["h"].shape[1] for record in done.recorder.through_time]
    assert len(steps) == 12
    assert len(set(steps)) > 3
    assert done.cost == 2 * sum(steps)


def test_the_best_weights_score_as_they_did_in_training() -> None:
    settings = small("temporal_order", "rnn", "training.updates=40", "optimizer.lr=0.02")
    done = train(settings, [0, 1, 2])
    parts = settings.task, settings.cell, settings.training, done
    same = scores(*parts, draw(settings.task, settings.data.seed, 12, 40))
    assert same.tolist() == [outcome.best_score for outcome in done.outcomes]
    longer = scores(*parts, draw(settings.task, settings.data.seed, 60, 40))
    assert longer.shape == (3,)
    assert longer.tolist() != same.tolist()


def test_train_writes_the_scores_at_further_lengths(tmp_path: Path) -> None:
    sizes = "cell.hidden=5 training.length=12 training.updates=4 training.replicas=2 training.batch=4 data.held_out=20"
    paths = f"paths.data={tmp_path}/d paths.results={tmp_path}/r paths.state={tmp_path} tracking.enabled=false"
    line = f"task=temporal_order cell=rnn search.length_max=12 training.threads=1 {sizes} {paths}"
    path = tmp_path / "r" / "train" / "temporal_order-rnn" / "outcome.json"
    assert run_stage(stage.main, line).status == 0
    plain = json.loads(path.read_text())
    assert run_stage(stage.main, f"{line} training.test_lengths=[12,300]").status == 0
    told = json.loads(path.read_text())
    tested = told.pop("tested")
    assert told == plain
    assert [each["length"] for each in tested] == [12, 300]
    assert tested[0]["scores"] == pytest.approx([row["best_score"] for row in told["replicas"]], rel=1e-5)
    assert [each["below_goal"] for each in tested] == [sum(s < 0.01 for s in each["scores"]) for each in tested]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.shortest=33", r"training\.shortest must be from 1 to training\.length 32, or null; got 33"),
        ("training.shortest=0", r"training\.shortest must be from 1 to training\.length 32, or null; got 0"),
        ("training.shortest=9", r"training\.shortest must be at least 10 for the task temporal_order; got 9"),
        ("training.test_lengths=[20,9]", r"training\.test_lengths must be at least 10 for the task .*; got 9"),
        ("training.test_lengths=[0]", r"training\.test_lengths must be a list of lengths, each at least 1; got \[0\]"),
        ("training.test_lengths=20", r"training\.test_lengths must be a list of lengths, each at least 1; got 20"),
        ("training.test_lengths=[a]", r"training\.test_lengths must be a list of lengths, .*; got \['a'\]"),
    ],
)
def test_lengths_that_cannot_be_are_refused(override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}$"):
        compose("task=temporal_order", "cell=rnn", "training.length=32", override)


def test_a_trial_that_is_shorter_than_the_shortest_length_is_refused() -> None:
    settings = small("temporal_order", "rnn", "training.length=30", "training.shortest=20")
    shorter = replace(settings, training=replace(settings.training, length=15))
    with pytest.raises(UserError, match=r"^training\.shortest must be at most the length 15; got 20$"):
        train(shorter, [0])
