"""Vanishing, exploding or neither: the rule on stated evidence, and on trainings of which the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.learning.signature import SIGNATURES, Evidence, evidence, growth, majority, signature
from tests.learning.trials import small, train

HEALTHY = Evidence(diverged=False, grown=0.0, vanished=0.0, radius=(1.0, 1.02), lyapunov=-0.1)
NO_CLIP = ("optimizer=sgd", "training.clip=inf")
LONG = ("training.length=50", "training.updates=20", "training.record_every=5", "training.kernel=auto")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "neither"),
        ({"vanished": 0.25}, "vanishing"),
        ({"vanished": 0.24}, "neither"),
        ({"first": -2.0, "signal_to_noise": 1.9}, "vanishing"),
        ({"first": -2.0, "signal_to_noise": 2.1}, "neither"),  # little arrives, but more than noise
        ({"first": -1.9, "signal_to_noise": 0.5}, "neither"),
        ({"diverged": True, "vanished": 0.9}, "exploding"),
        ({"grown": 0.25, "lyapunov": 0.01}, "exploding"),
        ({"grown": 0.25, "radius": (1.0, 1.06)}, "exploding"),
        ({"grown": 0.25}, "neither"),  # the recurrence does not bear it out
        ({"grown": 0.24, "lyapunov": 0.3, "radius": (1.0, 2.0)}, "neither"),  # too seldom
        ({"grown": 0.01, "vanished": 0.9, "radius": (2.0, 50.0)}, "exploding"),  # thrown into saturation
        (
            {"vanished": 0.9, "radius": (0.6, 3414.0), "lyapunov": float("nan")},
            "exploding",
        ),  # the same, by the first step
        ({"vanished": 0.9, "worse": 3.1}, "exploding"),  # no training at all would have been better
        ({"vanished": 0.9, "worse": 2.9}, "vanishing"),
        ({"vanished": 0.9, "radius": (0.06, 0.9), "lyapunov": -0.5}, "vanishing"),  # small weights that learn
        ({"lyapunov": float("nan"), "radius": (float("nan"), float("nan"))}, "neither"),  # a cell without these figures
    ],
)
def test_the_rule_is_as_stated(changed: dict, expected: str) -> None:
    assert signature(replace(HEALTHY, **changed)) == expected


def test_evidence_is_read_from_the_norms_of_each_record() -> None:
    falls, grows = np.linspace(-40.0, 0.0, 41), np.linspace(4.0, 0.0, 41)  # log2: 2^-1 and 2^.1 a step back
    figures = {"weight/spectral_radius": 1.0, "jacobian/lyapunov": 0.2}
    last = figures | {"weight/spectral_radius": 1.5, "gradient/signal_to_noise": 3.0}
    broken = np.full(41, np.nan)
    found = evidence([falls, falls, falls, grows, broken], 1, False, figures, last)
    first = -40 * float(np.log10(2))
    assert found == Evidence(False, 0.25, 27 / 41, (1.0, 1.5), 0.2, first, 3.0)  # 2^-13.3 is 1e-4
    assert evidence([broken], 1, True, figures, figures) == Evidence(True, 0.0, 0.0, (1.0, 1.0), 0.2, 0.0, None)


def test_growth_counts_no_step_at_which_a_new_error_enters() -> None:
    norms = np.array([[3.0, 5.0, 2.0, 9.0, 30.0], [1.0, 2.0, 3.0, 0.0, 0.0]])
    np.testing.assert_allclose(growth(norms, 3), [3 * np.log10(2), 0.0])


@examples(max_examples=50, deadline=None)
@given(found=st.lists(st.sampled_from([None, *SIGNATURES]), max_size=8))
def test_the_majority_is_the_commonest_and_nothing_where_all_solved(found: list[str | None]) -> None:
    failing = [each for each in found if each]
    answer = majority(found)
    assert (answer is None) == (not failing)
    assert all(failing.count(answer) >= failing.count(each) for each in failing)


THROWN = ("optimizer.lr=50", "training.clip=inf", "training.length=20")

KNOWN = [
    ("temporal_order", "rnn", (*LONG, "cell.init=basic_tanh", "cell.gain=0.5"), "vanishing"),
    ("temporal_order", "gru", (*LONG, "cell.init=sigmoid"), "vanishing"),
    ("temporal_order", "lstm", (*LONG, "cell.init=sigmoid"), "vanishing"),
    ("temporal_order", "rnn", (*LONG, "cell.gain=4.0", "cell.hidden=16"), "exploding"),  # chaotic, clipped
    ("temporal_order", "rnn", (*LONG, *NO_CLIP, "cell.gain=3.0", "cell.hidden=16"), "exploding"),
    ("adding", "rnn", (*NO_CLIP, "optimizer.lr=1e30", "training.updates=22"), "exploding"),  # not finite
    ("adding", "rnn", (*THROWN, "training.updates=20"), "exploding"),  # a hundred times worse than chance
    ("temporal_order", "gru", (*THROWN, "training.updates=20"), "exploding"),
    ("temporal_order", "rnn", ("optimizer.lr=1e-5",), "neither"),  # short, but the steps are too small
    ("adding", "lstm", ("cell.forget_bias=2.0", "training.updates=3"), "neither"),  # too few updates
    ("parity", "gru", ("cell.update_bias=1.0", "optimizer.lr=1e-5"), "neither"),
]


@pytest.mark.parametrize(("task", "cell", "overrides", "expected"), KNOWN)
def test_a_failing_training_has_the_known_signature(task: str, cell: str, overrides: tuple, expected: str) -> None:
    result = train(small(task, cell, "training.inspect_every=null", *overrides), [0, 1, 2])
    assert not any(outcome.solved for outcome in result.outcomes)
    assert [outcome.signature for outcome in result.outcomes] == [expected] * 3


def test_a_replica_that_solved_has_no_signature() -> None:
    settings = small("temporal_order", "gru", "training.updates=150", "optimizer.lr=0.03", "training.probe_every=10")
    outcomes = train(settings, [0, 1, 2]).outcomes
    assert any(outcome.solved for outcome in outcomes)
    assert [outcome.signature is None for outcome in outcomes] == [outcome.solved for outcome in outcomes]
