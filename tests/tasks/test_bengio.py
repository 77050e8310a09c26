"""The problems of Bengio, Simard, Frasconi 1994 against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.data import streams
from pipeline.tasks.latch import Latch
from pipeline.tasks.parity import Parity

LATCH, PARITY = Latch(goal=0.01, loose_goal=0.1, noise=0.2), Parity(goal=0.01, loose_goal=0.1)


@examples(max_examples=60, deadline=None)
@given(length=st.integers(3, 60), seed=st.integers(0, 2**63 - 1))
def test_the_first_three_values_tell_the_side_of_the_answer(length: int, seed: int) -> None:
    batch = LATCH.sample(streams.training(seed, 0, 1), length, 4)
    for sequence in range(4):
        informed = {float(value) for value in batch.inputs[:3, sequence, 0]}
        assert informed in ({1.0}, {-1.0})
        assert batch.targets[0, sequence, 0] == pytest.approx(0.8 * informed.pop())


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_other_values_are_gaussian_noise_that_does_not_know_the_class(noise: float) -> None:
    batch = Latch(goal=0.01, loose_goal=0.1, noise=noise).sample(streams.training(0, 0, 1), 103, 2000)
    values, sides = batch.inputs[3:, :, 0].astype(float), np.sign(batch.targets[0, :, 0])
    error = noise / np.sqrt(values.size)
    assert abs(values.mean()) <= 5 * error
    assert values.std() == pytest.approx(noise, abs=5 * error)
    assert (values**4).mean() == pytest.approx(3 * noise**4, rel=0.1)
    assert abs((values * sides).mean()) <= 5 * error


def test_a_constant_between_the_targets_is_wrong_half_of_the_time() -> None:
    targets = LATCH.sample(streams.training(0, 0, 1), 5, 20_000).targets
    assert (targets > 0).mean() == pytest.approx(LATCH.chance, abs=5 * 0.5 / np.sqrt(20_000))
    assert targets.var() == pytest.approx(0.64, rel=0.01)


@pytest.mark.parametrize("noise", [-0.1, np.inf])
def test_noise_that_is_no_standard_deviation_is_refused(noise: float) -> None:
    with pytest.raises(UserError, match=r"^task\.noise is a standard deviation, at least 0; got"):
        Latch(goal=0.01, loose_goal=0.1, noise=noise)


@examples(max_examples=60, deadline=None)
@given(length=st.integers(1, 80), seed=st.integers(0, 2**63 - 1))
def test_the_answer_is_whether_the_number_of_ones_is_odd(length: int, seed: int) -> None:
    batch = PARITY.sample(streams.training(seed, 0, 1), length, 4)
    for sequence in range(4):
        odd = False
        for value in batch.inputs[:, sequence, 0]:
            assert value in (-1, 1)
            odd ^= bool(value == 1)
        assert batch.targets[0, sequence] == odd


def test_bits_are_fair_and_no_single_one_tells_the_parity() -> None:
    batch = PARITY.sample(streams.training(0, 0, 1), 12, 20_000)
    signs = 1 - 2 * batch.targets[0]
    for bits in batch.inputs[:, :, 0]:
        assert abs(bits.mean()) < 5 / np.sqrt(20_000)
        assert abs((bits * signs).mean()) < 5 / np.sqrt(20_000)
    assert PARITY.chance == 0.5
