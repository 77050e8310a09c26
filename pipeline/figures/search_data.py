"""What the figures of a search show, from its trials and its horizon."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from pipeline.horizon.belief import belief
from pipeline.horizon.model import STEP
from pipeline.records.horizon import HorizonRecord
from pipeline.study.record import TrialRecord


@dataclass(frozen=True)
class SolvedShare:
    """What the figure of a horizon shows; arrays have one value a length."""

    lengths: ndarray  # that were tried
    solved: ndarray  # replicas
    tried: ndarray  # replicas
    grid: ndarray  # lengths of the curve
    median: ndarray  # chance to solve
    lower: ndarray
    upper: ndarray
    places: ndarray  # lengths at which the density of the horizon stands
    density: ndarray  # of the horizon, in octaves


@dataclass(frozen=True)
class Course:
    """How a search went; arrays have one value a trial, and the interval is that after it."""

    lengths: ndarray  # that was tried
    shares: ndarray  # of its replicas that solved
    medians: ndarray
    lower: ndarray
    upper: ndarray


def solved_share(trials: Sequence[TrialRecord], horizon: HorizonRecord) -> SolvedShare:
    """Return the tried lengths with their counts, and the fitted curve with its band."""
    lengths = sorted({trial.length for trial in trials})
    at = {length: [trial for trial in trials if trial.length == length] for length in lengths}
    grid = np.unique(np.geomspace(*horizon.range, 200).round().astype(int))
    after = horizon.belief(trials)
    fitted = after.curve([int(length) for length in grid], horizon.level)
    return SolvedShare(
        lengths=np.array(lengths),
        solved=np.array([sum(trial.solved for trial in at[length]) for length in lengths]),
        tried=np.array([sum(trial.replicas for trial in at[length]) for length in lengths]),
        grid=fitted.lengths,
        median=fitted.median,
        lower=fitted.lower,
        upper=fitted.upper,
        places=np.exp2(after.grid.theta),
        density=after.theta / STEP,
    )


def course(trials: Sequence[TrialRecord], horizon: HorizonRecord) -> Course:
    """Return the interval after each trial."""
    seen = [trial.observation for trial in trials]
    beliefs = [belief(seen[: count + 1], horizon.grid) for count in range(len(seen))]
    ends = np.array([each.interval(horizon.level) for each in beliefs])
    return Course(
        lengths=np.array([trial.length for trial in trials]),
        shares=np.array([trial.share for trial in trials]),
        medians=np.exp2([each.quantile(0.5) for each in beliefs]),
        lower=np.exp2(ends[:, 0]),
        upper=np.exp2(ends[:, 1]),
    )
