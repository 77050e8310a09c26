"""Random streams that are a pure function of what they are for, the same on every machine and after a resume.

Philox (Salmon et al. 2011, doi:10.1145/2063384.2063405) turns a key and a counter into random bits with no state to
carry: the key is (seed, replica), and each update, held-out length or set of initial weights has 2^64 counters.
"""

import numpy as np
from numpy.random import Generator, Philox

TRAINING, HELD_OUT, WEIGHTS, LENGTH, CHOICE = range(5)  # what a stream is for
TUNING = 2**40  # replicas from this number on serve the choice of settings, those below it everything else


def stream(purpose: int, seed: int, replica: int = 0, index: int = 0) -> Generator:
    """Return the stream for one purpose; `index` is the update for training, the length for held-out sequences."""
    key = np.array([seed, replica], dtype=np.uint64)
    counter = np.array([0, index, 0, purpose], dtype=np.uint64)
    return Generator(Philox(key=key, counter=counter))


def training(seed: int, replica: int, update: int) -> Generator:
    """Return the stream of one training batch."""
    return stream(TRAINING, seed, replica, update)


def training_length(seed: int, update: int) -> Generator:
    """Return the stream of the length of one update's batches, which the replicas share: they are stacked."""
    return stream(LENGTH, seed, index=update)


def held_out(seed: int, length: int) -> Generator:
    """Return the stream of the held-out sequences of one length."""
    return stream(HELD_OUT, seed, index=length)


def choice(seed: int, length: int) -> Generator:
    """Return the stream of the held-out sequences of one length that serve tuning alone."""
    return stream(CHOICE, seed, index=length)


def weights_seed(seed: int, replica: int) -> int:
    """Return a 63-bit seed for the initial weights of one replica."""
    return int(stream(WEIGHTS, seed, replica).integers(2**63))
