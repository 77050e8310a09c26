"""Symbols that matter, scattered over windows among distractors: the sequences of the temporal order problems."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from pipeline.tasks.task import Batch

SYMBOLS = 2  # A and B, the ones that matter
DISTRACTORS = 4


def ordered(random: Generator, length: int, batch: int, starts: Sequence[int]) -> Batch:
    """Return a batch with one A or B, in each window [start, start + floor(length/10)): the class, in base 2."""
    window = length // 10
    inputs = random.integers(SYMBOLS, SYMBOLS + DISTRACTORS, (length, batch), dtype=np.uint8)
    symbols = random.integers(0, SYMBOLS, (len(starts), batch), dtype=np.uint8)
    for symbol, start in zip(symbols, starts, strict=True):
        inputs[random.integers(start, start + window, batch), np.arange(batch)] = symbol
    weights = SYMBOLS ** np.arange(len(starts))[::-1]
    return Batch(inputs, (weights @ symbols.astype(np.int64))[None])
