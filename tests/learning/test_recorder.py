"""What a training keeps: curves, and the table of gradients through time."""

from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.learning.first_look import Scores
from pipeline.learning.recorder import Recorder, columns

LOG2 = Mapping[str, np.ndarray]


def on_all(scores: np.ndarray) -> Scores:
    return Scores(scores, scores, np.full(len(scores), 10), 10)


def fill(recorder: Recorder, updates: int, leaves_at: int = 1000) -> dict[int, np.ndarray]:
    """Three replicas, of which the second leaves; the norms that were handed over, by update."""
    kept = {}
    for update in range(1, updates + 1):
        running = np.array([0, 1, 2]) if update < leaves_at else np.array([0, 2])
        norms = np.random.default_rng(update).normal(size=(len(running), 4)).astype(np.float32)
        kept[update] = norms
        recorder.update(
            update, running, running + 0.5, np.array([0.5, 3.0, 1.5])[running], lambda norms=norms: {"h": norms}
        )
    return kept


def test_the_table_has_a_row_for_each_update_replica_and_step() -> None:
    recorder = Recorder(every=3, answers=1, clip=1.0)
    handed = fill(recorder, 9, leaves_at=5)
    table = columns(recorder.through_time, [40, 7, 12])
    rows = dict(
        zip(zip(table["update"], table["replica"], table["step"], strict=True), table["log2_norm_h"], strict=True)
    )
    expected = {}
    for update in (1, 3, 6, 9):
        names = [40, 7, 12] if update < 5 else [40, 12]
        for row, replica in enumerate(names):
            for step in range(1, 5):
                expected[update, replica, step] = handed[update][row, step - 1]
    assert len(table["update"]) == len(expected)
    assert rows == expected
    assert {name: str(column.dtype) for name, column in table.items()} == {
        "update": "int32",
        "replica": "int32",
        "step": "int32",
        "gradient_norm": "float32",
        "log2_norm_h": "float32",
    }


def test_norms_are_asked_for_only_where_they_are_kept() -> None:
    asked = []
    recorder = Recorder(every=5, answers=1, clip=1.0)

    def norms(update: int) -> LOG2:
        asked.append(update)
        return {"h": np.zeros((1, 2))}

    for update in range(1, 12):
        recorder.update(update, np.array([0]), np.ones(1), np.ones(1), lambda update=update: norms(update))
    assert asked == [1, 5, 10]


def test_curves_are_medians_over_the_replicas_that_train() -> None:
    shown: dict[int, Mapping[str, float]] = {}
    recorder = Recorder(every=1, answers=1, clip=1.0, watch=lambda update, figures: shown.update({update: figures}))
    fill(recorder, 6, leaves_at=4)
    assert [shown[update]["loss/training"] for update in (3, 4)] == [1.5, 1.5]  # of .5, 1.5, 2.5 and of .5, 2.5
    assert [shown[update]["gradient/norm"] for update in (3, 4)] == [1.5, 1.0]
    assert recorder.curves[3] == {"update": 4, **shown[4]}


def test_clipped_is_the_share_since_the_last_record() -> None:
    shown: dict[int, float] = {}
    recorder = Recorder(
        every=4, answers=1, clip=1.0, watch=lambda u, figures: shown.update({u: figures["gradient/clipped"]})
    )
    for update, norm in enumerate([2.0, 0.5, 3.0, 0.1, 2.0, 2.0, 2.0, 0.9], start=1):
        recorder.update(update, np.array([0]), np.ones(1), np.array([norm]), lambda: {"h": np.zeros((1, 2))})
    assert shown == {1: 1.0, 4: pytest.approx(1 / 3), 8: 0.75}


def test_what_is_not_finite_is_not_shown() -> None:
    shown: list[Mapping[str, float]] = []
    recorder = Recorder(every=1, answers=1, clip=1.0, watch=lambda update, figures: shown.append(figures))
    norms = {"h": np.array([[1.0, 2.0], [np.nan, np.inf]])}
    recorder.update(1, np.array([0, 1]), np.array([0.5, np.nan]), np.array([np.inf, np.nan]), lambda: norms)
    recorder.probe(1, np.array([0]), on_all(np.array([np.nan])), 0, 1)
    assert "gradient/norm" not in shown[0]
    assert shown[0]["loss/training"] == 0.5
    assert shown[1] == {"score/sequences": 10.0, "replicas/solved": 0.0, "replicas/running": 1.0}
    assert all(np.isfinite(list(curve.values())).all() for curve in recorder.curves)


def test_the_share_of_replicas_that_broke_is_shown_when_one_does() -> None:
    shown: list[tuple[int, float]] = []
    recorder = Recorder(
        every=10,
        answers=1,
        clip=1.0,
        watch=lambda update, figures: shown.append((update, figures["gradient/nonfinite"])),
    )
    losses = np.ones(4)
    for update in range(1, 11):
        running = np.array([p for p in range(4) if p not in recorder.nonfinite])
        losses[running] = [np.inf if (update, p) in ((3, 2), (7, 0)) else 1.0 for p in running]
        norms = np.ones(len(running))
        recorder.update(update, running, losses[running], norms, lambda norms=norms: {"h": np.outer(norms, np.ones(3))})
    assert shown == [(1, 0.0), (3, 0.25), (7, 0.5), (10, 0.5)]
    assert {p: figures["gradient/nonfinite"] for p, figures in recorder.latest.items()} == {0: 1, 1: 0, 2: 1, 3: 0}


def test_each_replica_remembers_how_often_it_was_clipped_since_the_last_record() -> None:
    recorder = Recorder(every=4, answers=1, clip=1.0)
    norms = {
        1: [2, 0, 2],
        2: [2, 2, 0],
        3: [2, 0, 0],
        4: [2, 0],
        5: [0, 0],
    }  # the second replica leaves after the third
    for update, row in norms.items():
        running = np.array([0, 1, 2] if update < 4 else [0, 2])
        ones = np.ones(len(running))
        recorder.update(
            update, running, ones, np.array(row, float), lambda ones=ones: {"h": np.outer(ones, np.ones(3))}
        )
    assert {p: figures["gradient/clipped"] for p, figures in recorder.latest.items()} == {0: 1, 1: 0, 2: 0}


def test_the_second_part_of_a_state_has_figures_of_its_own() -> None:
    recorder = Recorder(every=1, answers=1, clip=1.0)
    steps = np.arange(6.0)
    norms = {"h": np.tile(-steps, (2, 1)), "c": np.tile(0.5 * steps, (2, 1))}
    recorder.update(1, np.array([0, 1]), np.ones(2), np.ones(2), lambda: norms)
    assert recorder.latest[1]["gradient/decay"] == pytest.approx(2.0)
    assert recorder.latest[1]["gradient/decay_c"] == pytest.approx(2**-0.5)
    assert recorder.latest[1]["gradient/first_over_last_c"] == pytest.approx(-2.5 * np.log10(2))


def test_a_replica_leaves_its_plateau_at_the_first_score_that_is_clearly_better_than_chance() -> None:
    recorder = Recorder(every=100, answers=1, clip=1.0, plateau=0.4)
    scores = {2: [0.5, 0.41, 0.39], 4: [0.5, 0.3, 0.1], 6: [np.nan, 0.2]}  # the third replica solves at 4
    for update in range(1, 7):
        running = np.array([0, 1, 2] if update < 5 else [0, 1])
        slopes = np.log2(0.9) * update + 0.1 * running
        norms = -slopes[:, None] * np.arange(5.0)
        ones = np.ones(len(running))
        recorder.update(update, running, ones, ones, lambda norms=norms: {"h": norms})
        if update in scores:
            recorder.probe(update, running, on_all(np.array(scores[update])), 0, len(running))
    assert {replica: left.update for replica, left in recorder.exits.items()} == {2: 2, 1: 4}
    assert recorder.exits[2].decay == pytest.approx(0.9**2 * 2**0.2)
    assert recorder.exits[1].decay == pytest.approx(0.9**4 * 2**0.1)


def test_the_latest_figures_of_a_replica_outlive_it() -> None:
    recorder = Recorder(every=1, answers=1, clip=1.0)
    handed = fill(recorder, 6, leaves_at=4)
    assert recorder.latest.keys() == {0, 1, 2}
    last = {replica: handed[3 if replica == 1 else 6] for replica in recorder.latest}
    for replica, row in ((0, 0), (1, 1), (2, 1)):
        expected = (last[replica][row, 0] - last[replica][row, -1]) * np.log10(2)
        assert recorder.latest[replica]["gradient/first_over_last"] == pytest.approx(expected, rel=1e-5)


def test_the_best_score_is_of_all_sequences_and_a_plateau_is_watched_until_it_ends() -> None:
    recorder = Recorder(every=5, answers=1, clip=1.0, plateau=0.4)
    recorder.update(1, np.arange(2), np.ones(2), np.ones(2), lambda: {"h": np.ones((2, 5))})
    part, whole = np.array([0.1, 0.5]), np.array([0.3, 0.5])
    recorder.probe(1, np.arange(2), Scores(part, part, np.array([5, 5]), 10), 0, 2)
    assert "score/best" not in recorder.curves[-1]
    assert recorder.curves[-1]["score/sequences"] == 5
    recorder.probe(2, np.arange(2), Scores(whole, part, np.array([10, 5]), 10), 0, 2)
    assert recorder.curves[-1]["score/best"] == 0.3
    assert recorder.watched(np.arange(2)).tolist() == [-np.inf, 0.4]
