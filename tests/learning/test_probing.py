"""A first look at some held-out sequences: how seldom it overlooks a goal, and how often it saves the others."""

import numpy as np
import pytest
from scipy import stats

from pipeline.learning import probing
from pipeline.learning.first_look import RISK, surely_not_below
from pipeline.learning.probing import CHUNK
from pipeline.learning.replicas import TrainedReplicas
from pipeline.tasks.task import Task
from tests.learning.trials import small, train

COUNT, PROBES = 1000, 12


def sure(errors: np.ndarray, goal: float, probes: int = PROBES) -> np.ndarray:
    return surely_not_below(np.full(len(errors), goal), errors, COUNT, probes)


@pytest.mark.parametrize("goal", [0.003, 0.01, 0.05, 0.1, 0.35])
@pytest.mark.parametrize("size", [0.04, 0.2, 0.5, 1.0, 7.0])
def test_a_goal_that_is_met_is_hardly_ever_overlooked(goal: float, size: float) -> None:
    """Exactly, over all draws of the first look: as many errors of one size as leave the mean just below the goal."""
    bad = min(int(np.ceil(goal * COUNT / size)) - 1, COUNT)
    errors = size * (np.arange(CHUNK) < np.arange(CHUNK + 1)[:, None])
    overlooked = stats.hypergeom(COUNT, bad, CHUNK).pmf(np.arange(CHUNK + 1))[sure(errors, goal)].sum()
    assert overlooked * 2 * PROBES <= RISK


def test_errors_of_many_sizes_are_no_way_around_it() -> None:
    """Draws of heavy tails, scaled to a mean just below the goal; one in 1000 would be seen among 4 x 5 000."""
    random = np.random.default_rng(0)
    for draw in (random.pareto(1.1, COUNT), random.exponential(size=COUNT), random.random(COUNT) ** 9, np.ones(COUNT)):
        errors = draw * 0.0499 / draw.mean()
        looks = np.stack([random.permutation(errors)[:CHUNK] for _ in range(5000)])
        assert not sure(looks, 0.05).any()


def test_a_task_at_the_level_of_chance_is_told_by_the_first_look(task: Task) -> None:
    """Both goals of every task, where answers ignore the input: nearly always, in two thirds of the looks at worst."""
    random = np.random.default_rng(0)
    targets = task.sample(random, 40, 200 * CHUNK).targets
    if task.kind == "regression":
        errors = ((targets - targets.mean()) ** 2).mean(axis=(0, 2)).reshape(200, CHUNK)
    else:
        errors = (random.random((200, CHUNK)) < task.chance).astype(float)
    for goal in (task.goal, task.loose_goal):
        assert sure(errors, goal, 40).mean() > 0.6


def test_what_is_no_number_is_looked_at_in_full() -> None:
    errors = np.full((2, CHUNK), 0.5)
    errors[1, 7] = np.nan
    assert sure(errors, 0.01).tolist() == [True, False]


@pytest.mark.parametrize(("task", "goals"), [("adding", (0.045, 0.05)), ("temporal_order", (0.3, 0.4))])
def test_it_decides_as_a_look_at_all_sequences(
    task: str, goals: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who solves, when, and the scores that are published of it; some probes looked at a part alone."""

    def run() -> tuple[TrainedReplicas, dict[int, dict[str, float]]]:
        curves: dict[int, dict[str, float]] = {}
        goal = [f"task.goal={goals[0]}", f"task.loose_goal={goals[1]}", "optimizer.lr=0.03", "training.kernel=auto"]
        sizes = ["training.length=10", "training.updates=150", "training.probe_every=10", "data.held_out=400"]
        return train(small(task, "gru", *goal, *sizes), range(4), curves), curves

    monkeypatch.setattr(probing, "CHUNK", 200)
    by_part, part_curves = run()
    monkeypatch.setattr(probing, "CHUNK", 400)
    by_all, all_curves = run()
    assert any(row.solved for row in by_all.outcomes)
    for one, other in zip(by_part.outcomes, by_all.outcomes, strict=True):
        assert (one.solved, one.updates_to_solve) == (other.solved, other.updates_to_solve)
        assert one.updates_to_loose_goal == other.updates_to_loose_goal
        assert not one.solved or one.best_score == pytest.approx(other.best_score, rel=1e-5)
    counts = {curve["score/sequences"] for curve in part_curves.values() if "score/sequences" in curve}
    assert counts == {200, 400}
    for update, curve in part_curves.items():
        if curve.get("score/sequences") == 400:
            assert curve["score/held_out"] == pytest.approx(all_curves[update]["score/held_out"], rel=1e-5)


def test_the_score_of_what_did_not_solve_is_that_of_its_best_weights_on_all_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline.data.held_out import draw
    from pipeline.learning.replicas import scores

    monkeypatch.setattr(probing, "CHUNK", 10)
    settings = small("copy", "rnn", "training.updates=14", "training.probe_every=3")
    done = train(settings, [0, 1])
    held_out = draw(settings.task, settings.data.seed, 12, 40)
    again = scores(settings.task, settings.cell, settings.training, done, held_out)
    assert again.tolist() == [row.best_score for row in done.outcomes]
    assert done.recorder.curves[-1]["score/sequences"] == 40
