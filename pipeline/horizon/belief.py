"""What is believed after some trials, where the model may be wrong in two ways that people meet.

The model's curve falls. Beside it count, with little prior weight:
- a failing band: lengths of which fewer than half solve though longer ones are solved again. Within the band the share
  is free, uniform up to one half; the curve holds for all other lengths, and its horizon lies beyond the band. A band
  from the shortest length on (`SHORT`) is a task that is too hard where it is too short; any other is a dip (`DIP`);
- a curve of two steps (`TWO_STEPS`, see `plateau.py`).
The posterior is the mean over all of them, each by its evidence (Hoeting et al. 1999, Statistical Science 14:382).
Where trials speak for one of them the interval widens by itself, so the search goes on until it is clear what they say.
"""

from collections.abc import Sequence
from math import comb, log, log2

import numpy as np

from pipeline.horizon.model import Array, Grid, log_likelihood
from pipeline.horizon.observation import Observation, Visited, visited
from pipeline.horizon.plateau import log_likelihood_of_two_steps
from pipeline.horizon.posterior import Band, Posterior, log_weights

SHORT, DIP, TWO_STEPS = 0.1, 0.001, 0.003  # prior weights beside the model's 1
DOUBTED = (0.1, 0.01, 0.3)  # the same in an answer, once a diagnostic has spoken against the model


def belief(seen: Sequence[Observation], grid: Grid, two_steps: bool = True, doubted: bool = False) -> Posterior:
    """Return the posterior with failing bands and, unless told otherwise, curves of two steps.

    `doubted` gives them more weight.
    """
    lengths = visited(seen)
    bands, (short, dip, steps) = failing(lengths), DOUBTED if doubted else (SHORT, DIP, TWO_STEPS)
    falling = log_weights(seen, grid)
    logs = [falling]
    for band in bands:
        prior = short if band[0] is lengths[0] else dip
        logs.append(log_weights_with(band, falling, grid) + log(prior / len(bands)))
    if two_steps and seen:
        logs.append(log_likelihood_of_two_steps(seen, grid) + log(steps))
    highest = max(each.max() for each in logs)
    parts = [np.exp(each - highest) for each in logs]
    whole = sum(float(part.sum()) for part in parts)
    shares = [np.asarray(part / whole) for part in parts]
    stepped = shares.pop() if two_steps and seen else None
    known = tuple(Band(band[-1].length, share) for band, share in zip(bands, shares[1:], strict=True))
    return Posterior(grid, np.asarray(sum(shares)), known, stepped)


def failing(lengths: Sequence[Visited]) -> list[list[Visited]]:
    """Return the bands that may be: from the first length of a run that fewer than half solve to any other of it."""
    bands: list[list[Visited]] = []
    run: list[Visited] = []
    for here in lengths:
        run = [*run, here] if 2 * here.solved < here.replicas else []
        if run:
            bands.append(run)
    return bands


def log_weights_with(band: Sequence[Visited], falling: Array, grid: Grid) -> Array:
    """Return the log weight of every curve where the lengths of a band are free and the horizon lies beyond it."""
    left = falling.copy()
    for here in band:
        left += log_free(here.solved, here.replicas) - log(comb(here.replicas, here.solved))
        for trial in here.trials:
            left += log(comb(trial.replicas, trial.solved))
            left -= log_likelihood(grid, trial.length, trial.solved, trial.replicas)
    left[grid.theta <= log2(band[-1].length)] = -np.inf
    return left


def log_free(solved: int, replicas: int) -> float:
    """Return log P(solved | replicas) where the chance to solve is uniform from 0 to one half.

    2 C(n, k) int_0^.5 p^k (1 - p)^(n - k) dp = 2 / (n + 1) P(X > k),  X ~ binomial(n + 1, .5)
    """
    more = sum(comb(replicas + 1, each) for each in range(solved + 1, replicas + 2))
    return log(2 / (replicas + 1) * more / 2 ** (replicas + 1))
