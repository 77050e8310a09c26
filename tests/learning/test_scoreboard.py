"""Best-so-far bookkeeping against the slow way: one replica at a time, over the whole story."""

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.learning.first_look import Scores
from pipeline.learning.scoreboard import Outcome, Scoreboard

GOAL, LOOSE = 0.1, 0.3
SCORES = st.one_of(st.floats(0, 1, width=32), st.just(float("nan")))
STORIES = st.lists(st.lists(st.tuples(SCORES, st.booleans()), min_size=6, max_size=6), min_size=1, max_size=4)


def on_all(scores: np.ndarray) -> Scores:
    """Scores on all of ten sequences."""
    return Scores(scores, scores, np.full(len(scores), 10), 10)


def slowly(replica: int, story: list[tuple[float, bool]]) -> Outcome:
    """What becomes of a replica: each update has a score, probed every other update, and may break."""
    best, loose = np.inf, None
    for update, (score, breaks) in enumerate(story, start=1):
        if breaks and update > 3:
            return Outcome(replica, False, None, loose, True, update, float(best) if best < np.inf else None)
        if update % 2 == 0:
            best = min(best, score) if score == score else best
            loose = update if loose is None and score < LOOSE else loose
            if score < GOAL:
                return Outcome(replica, True, update, loose, False, update, float(best))
    return Outcome(replica, False, None, loose, False, len(story), float(best) if best < np.inf else None)


@examples(max_examples=200, deadline=None)
@given(stories=STORIES)
def test_a_board_tells_of_each_replica_what_became_of_it(stories: list[list[tuple[float, bool]]]) -> None:
    board = Scoreboard(len(stories), GOAL, LOOSE)
    for update in range(1, 7):
        if not board.running.size:
            break
        board.finish_update(np.array([not (stories[p][update - 1][1] and update > 3) for p in board.running]))
        if board.running.size and update % 2 == 0:
            before = board.best[board.running].copy()
            scores = np.array([stories[p][update - 1][0] for p in board.running])
            probed = board.running
            improved = board.probe(update, on_all(scores))
            assert set(improved) == {p for p, b, s in zip(probed, before, scores, strict=True) if s < b}
    names = [10 * position + 3 for position in range(len(stories))]
    assert board.outcomes(names) == [slowly(name, story) for name, story in zip(names, stories, strict=True)]


def test_a_score_at_the_goal_does_not_solve() -> None:
    board = Scoreboard(2, 0.01, 0.1)
    board.finish_update(np.array([True, True]))
    board.probe(1, on_all(np.array([0.01, np.nextafter(0.01, 0)])))
    assert [outcome.solved for outcome in board.outcomes([0, 1])] == [False, True]


def test_probes_are_compared_by_what_all_of_them_looked_at_and_a_goal_is_the_best() -> None:
    board = Scoreboard(2, 0.1, 0.3)
    assert board.goals_left().tolist() == [[0.1, 0.1], [0.3, 0.3]]
    probes = [  # scores, those on the sequences of the first look, how many a score is of
        ([0.4, 0.2], [0.4, 0.15], [5, 10]),
        ([0.35, 0.18], [0.35, 0.2], [5, 10]),
        ([0.5, 0.09], [0.5, 0.16], [5, 10]),
    ]
    improved = []
    for update, (scores, first, counts) in enumerate(probes, start=1):
        found = Scores(np.array(scores), np.array(first), np.array(counts), 10)
        improved.append(board.probe(update, found).tolist())
    assert improved == [[0, 1], [0], [1]]
    assert board.best.tolist() == [0.35, 0.09]
    assert board.goals_left().tolist() == [[0.1], [0.3]]
    assert board.scored_on_a_part(10).tolist() == [0]
