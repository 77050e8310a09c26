"""Two marked values in the first half of a sequence: the inputs of Pascanu et al. 2013's adding and multiplication."""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from numpy.random import Generator

CHANNELS = 2  # value, marker


def marked(
    random: Generator, length: int, batch: int
) -> tuple[Float32[ndarray, "time batch channel"], Float32[ndarray, " batch"], Float32[ndarray, " batch"]]:
    """Inputs, and the two values that are marked: one in [0, floor(l/10)), the other in [floor(l/10), floor(l/2))."""
    inputs = np.zeros((length, batch, CHANNELS), dtype=np.float32)
    inputs[:, :, 0] = random.random((length, batch), dtype=np.float32)
    every = np.arange(batch)
    first = random.integers(0, length // 10, batch)
    second = random.integers(length // 10, length // 2, batch)
    inputs[first, every, 1] = 1
    inputs[second, every, 1] = 1
    return inputs, inputs[first, every, 0], inputs[second, every, 0]
