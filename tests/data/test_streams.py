"""The random streams against Philox written out, and against each other."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.data import streams

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
MASK = 2**64 - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 (Salmon et al. 2011, section 3.3)."""
    for _ in range(10):
        first, second = MULTIPLIERS[0] * counter[0], MULTIPLIERS[1] * counter[2]
        counter = [
            second >> 64 ^ counter[1] ^ key[0],
            second & MASK,
            first >> 64 ^ counter[3] ^ key[1],
            first & MASK,
        ]
        key = [(k + w) & MASK for k, w in zip(key, WEYL, strict=True)]
    return counter


def test_philox_written_out_gives_the_published_vector() -> None:
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox([0, 0, 0, 0], [0, 0]) == expected


@examples(max_examples=50, deadline=None)
@given(
    purpose=st.integers(0, 3),
    seed=st.integers(0, 2**63 - 1),
    replica=st.integers(0, 2**40),
    index=st.integers(0, 2**40),
)
def test_a_stream_is_philox_under_its_key_and_counter(purpose: int, seed: int, replica: int, index: int) -> None:
    raw = streams.stream(purpose, seed, replica, index).bit_generator.random_raw(8)
    blocks = [philox([block, index, 0, purpose], [seed, replica]) for block in (1, 2)]  # numpy counts, then draws
    assert [int(number) for number in raw] == blocks[0] + blocks[1]


def test_streams_for_different_things_share_no_number() -> None:
    keys = list(product(range(4), (0, 1, 2**62), (0, 1, 5), (0, 1, 2, 1000)))
    drawn = np.stack([streams.stream(*key).bit_generator.random_raw(100) for key in keys])
    assert len(np.unique(drawn)) == drawn.size


def test_training_lengths_held_out_and_weights_have_streams_of_their_own() -> None:
    numbers = {
        int(streams.training(3, 0, 40).integers(2**63)),
        int(streams.training_length(3, 40).integers(2**63)),
        int(streams.held_out(3, 40).integers(2**63)),
        streams.weights_seed(3, 0),
        streams.weights_seed(3, 1),
        streams.weights_seed(4, 0),
    }
    assert len(numbers) == 6


def test_a_seed_for_weights_is_what_torch_takes() -> None:
    assert all(0 <= streams.weights_seed(seed, replica) < 2**63 for seed in range(50) for replica in range(50))
