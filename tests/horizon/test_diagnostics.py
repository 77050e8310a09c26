"""Diagnostics speak where the trials contradict the model, and are silent elsewhere."""

import numpy as np
import pytest
from scipy import stats

from pipeline.horizon.belief import belief
from pipeline.horizon.diagnostics import diagnostics, predicted, rise_chance, sum_of_counts
from pipeline.horizon.estimate import Estimate, above_half, widened
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation, Visited, visited
from pipeline.horizon.plateau import bayes_factor, log_evidence
from pipeline.horizon.posterior import posterior
from tests.study.toy import seen

GRID = Grid(4, 256)


def said(trials: list[Observation]) -> tuple[str, ...]:
    return diagnostics(trials, belief(trials, GRID))


PLAIN = seen(*[(8, 4), (16, 4), (32, 3), (45, 2), (64, 1), (128, 0)] * 3)


def test_trials_as_the_model_says_raise_nothing() -> None:
    assert said(PLAIN) == ()
    assert said([]) == ()
    assert said(seen((4, 4))) == ()


def test_a_dip_is_noticed_by_what_the_other_lengths_predict() -> None:
    found = said([*PLAIN, *seen((11, 0), (11, 0))])
    assert any(
        sentence.startswith("0 of 8 replicas solved length 11, where the other lengths predict 7") for sentence in found
    )


def test_a_rise_is_named_with_both_lengths() -> None:
    found = said(seen((8, 0), (8, 1), (16, 4), (16, 4)))
    assert "8 of 8 replicas solved length 16, but 1 of 8 length 8: the curve rises." in found


def test_a_plateau_is_noticed() -> None:
    steps = seen(*[(8, 4), (16, 4), (32, 2), (64, 2), (128, 2), (256, 0)] * 4)
    assert bayes_factor(steps, GRID) > 20
    assert any("two steps" in sentence for sentence in said(steps))
    assert bayes_factor(PLAIN, GRID) < 3


def test_replicas_that_agree_too_much_are_noticed() -> None:
    found = said(seen(*[(32, 4), (32, 0)] * 5, (8, 4), (128, 0)))
    assert any(sentence.startswith("Replicas of a trial agree more") for sentence in found)


@pytest.mark.parametrize(
    ("trials", "lower", "upper"),
    [
        (((8, 4), (16, 4), (32, 2), (64, 2), (128, 0), (256, 0)), 16.0, 128.0),  # a plateau, to what is decided
        (((8, 4), (11, 0), (16, 4), (32, 4), (45, 2), (64, 0)), 8.0, 64.0),  # a dip
        (((4, 0), (8, 4), (16, 4), (38, 4), (45, 0)), 35.0, 45.0),  # too hard where it is too short
    ],
)
def test_where_trials_contradict_the_model_the_interval_reaches_to_lengths_that_are_decided(
    trials: tuple[tuple[int, int], ...], lower: float, upper: float
) -> None:
    assert widened(Estimate(40.0, 35.0, 42.0), visited(seen(*trials))) == Estimate(40.0, lower, upper)
    assert widened(Estimate(None, 35.0, None, "above"), []) == Estimate(None, 35.0, None, "above")


def test_the_chance_of_more_than_half_is_that_of_a_uniform_prior() -> None:
    assert above_half(Visited(8, 3, 8, ())) == pytest.approx(stats.beta(4, 6).sf(0.5))


def test_the_rise_is_fishers_exact_test() -> None:
    short, long = Visited(8, 2, 12, ()), Visited(16, 7, 8, ())
    expected = stats.fisher_exact(np.array([[7, 1], [2, 10]]), alternative="greater").pvalue
    assert rise_chance(short, long) == pytest.approx(expected)


def test_the_predicted_counts_are_those_of_drawn_curves() -> None:
    belief = posterior(PLAIN, GRID)
    chances = predicted(belief, seen((45, 0), (45, 0)))
    assert chances.sum() == pytest.approx(1)
    assert chances @ np.arange(9) == pytest.approx(8 * belief.chance(45), rel=1e-6)


def test_the_sum_of_two_binomials_is_a_binomial() -> None:
    one = stats.binom.pmf(np.arange(5), 4, 0.3)[:, None]
    np.testing.assert_allclose(sum_of_counts(one, one)[:, 0], stats.binom.pmf(np.arange(9), 8, 0.3))


def test_the_evidence_is_the_product_of_predictions() -> None:
    trials = seen((8, 4), (16, 2), (16, 3))
    total = 0.0
    for count, trial in enumerate(trials):
        total += np.log(predicted(posterior(trials[:count], GRID), [trial])[trial.solved])
    assert log_evidence(trials, GRID) == pytest.approx(total, rel=1e-6)


def test_trials_of_one_length_are_pooled() -> None:
    first, second = visited([Observation(16, 1, 4), Observation(8, 4, 4), Observation(16, 3, 8)])
    assert (first.length, first.solved, first.replicas) == (8, 4, 4)
    assert (second.length, second.solved, second.replicas, len(second.trials)) == (16, 4, 12, 2)
