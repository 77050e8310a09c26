"""Sentences on where the trials contradict the model.

Five checks, each quiet on cells that are as the model says (the rates are measured in tests/benchmarks/search.py):
- every visited length is predicted from all the others;
- a longer length was solved more often than a shorter one (the curve rises);
- a band of lengths fails though longer ones are solved (`belief.py`);
- a curve of two steps explains the trials better than one of one step (a plateau, `plateau.py`);
- replicas of one trial agree more than independent ones would.
A search ends with few trials, so a check that stays silent proves little.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np

from pipeline.horizon.model import Array, Grid, outcome_table
from pipeline.horizon.observation import Observation, Visited, visited
from pipeline.horizon.plateau import bayes_factor
from pipeline.horizon.posterior import Posterior, posterior

SURPRISING = 0.1  # chance of so odd a count at any of the visited lengths
RISING = 0.05  # chance of so steep a rise between two lengths that are alike
BAND = 0.5  # probability of a band of failing lengths below the horizon
TWO_STEPS = 3.0  # times that two steps explain the trials better than one
OVERDISPERSED = 0.4  # probability of correlated replicas, .2 before the first trial
NEGLIGIBLE = 1e-9  # curves of less weight are left out of a prediction


def diagnostics(seen: Sequence[Observation], found: Posterior) -> tuple[str, ...]:
    """Return a sentence for every check that fires; `found` is what is believed after these trials."""
    lengths, grid = visited(seen), found.grid
    odd = (*surprises(lengths, grid), *rises(lengths), *bands(found), *two_steps(seen, grid))
    return (*odd, *overdispersion(posterior(seen, grid)))


def bands(found: Posterior) -> list[str]:
    """Return a sentence for the likeliest band of failing lengths, if there probably is one."""
    if found.with_a_band < BAND:
        return []
    likeliest = max(found.bands, key=lambda band: float(band.weights.sum()))
    return [
        f"Lengths up to {likeliest.end} fail though longer ones are solved (P = {found.with_a_band:.2f}): "
        "the horizon is that of the longer ones."
    ]


def surprises(lengths: Sequence[Visited], grid: Grid) -> list[str]:
    """Return a sentence for every length whose count the other lengths do not predict."""
    found = []
    for here in lengths:
        others = [trial for there in lengths if there is not here for trial in there.trials]
        chances = predicted(posterior(others, grid), here.trials)
        tail = min(chances[: here.solved + 1].sum(), chances[here.solved :].sum())
        if 2 * tail * len(lengths) < SURPRISING:
            expected = float(chances @ np.arange(len(chances)))
            found.append(
                f"{here}, where the other lengths predict {expected:.1f}: the curve may have a plateau or a dip."
            )
    return found


def predicted(belief: Posterior, trials: Sequence[Observation]) -> Array:
    """Return the chance of every total number solved in these trials of one length."""
    weights = belief.weights.reshape(-1)
    likely = weights > NEGLIGIBLE * weights.max()
    total = weights[likely][None]
    for trial in trials:
        table = outcome_table(belief.grid, trial.length, trial.replicas).reshape(trial.replicas + 1, -1)[:, likely]
        total = sum_of_counts(total, table)
    return np.asarray(total.sum(axis=1))


def sum_of_counts(first: Array, second: Array) -> Array:
    """Return the distribution of the sum of two counts, for every curve: shape (count, curves)."""
    total = np.zeros((len(first) + len(second) - 1, first.shape[1]))
    for count, chance in enumerate(second):
        total[count : count + len(first)] += first * chance
    return total


def rises(lengths: Sequence[Visited]) -> list[str]:
    """Return a sentence for the pair of lengths, if any, between which the share solved clearly rises."""
    pairs = [(rise_chance(short, long), short, long) for short, long in combinations(lengths, 2)]
    clear = [pair for pair in pairs if pair[0] < RISING]
    if not clear:
        return []
    _, short, long = min(clear, key=lambda pair: pair[0])
    return [f"{long}, but {short.solved} of {short.replicas} length {short.length}: the curve rises."]


def rise_chance(short: Visited, long: Visited) -> float:
    """Return the chance that the longer length gets so many of all solved replicas if both are alike (Fisher 1922)."""
    solved, replicas = short.solved + long.solved, short.replicas + long.replicas
    ways = [
        comb(long.replicas, count) * comb(short.replicas, solved - count)
        for count in range(long.solved, min(solved, long.replicas) + 1)
    ]
    return sum(ways) / comb(replicas, solved)


def two_steps(seen: Sequence[Observation], grid: Grid) -> list[str]:
    """Return a sentence if the trials speak for two groups of replicas with horizons of their own."""
    factor = bayes_factor(seen, grid)
    if factor < TWO_STEPS:
        return []
    return [
        f"A curve of two steps explains the trials {factor:.0f} times better than one of one: it may have a plateau."
    ]


def overdispersion(found: Posterior) -> list[str]:
    """Return a sentence if replicas of a trial are probably correlated."""
    if found.overdispersed < OVERDISPERSED:
        return []
    return [f"Replicas of a trial agree more than independent ones would (P = {found.overdispersed:.2f})."]
