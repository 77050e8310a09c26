"""What the figures of a search show, from its trials and its horizon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from pipeline.horizon.model import STEP, Grid
from pipeline.horizon.observation import observations_of_rows
from pipeline.horizon.posterior import posterior


@dataclass(frozen=True)
class SolvedShare:
    """What the figure of a horizon shows; arrays have one value a length."""

    task: str
    cell: str
    lengths: ndarray  # that were tried
    solved: ndarray  # replicas
    tried: ndarray  # replicas
    grid: ndarray  # lengths of the curve
    median: ndarray  # chance to solve
    lower: ndarray
    upper: ndarray
    places: ndarray  # lengths at which the density of the horizon stands
    density: ndarray  # of the horizon, in octaves
    horizon: Mapping[str, Any]  # horizon.json


@dataclass(frozen=True)
class Course:
    """How a search went; arrays have one value a trial, and the interval is that after it."""

    lengths: ndarray  # that was tried
    shares: ndarray  # of its replicas that solved
    medians: ndarray
    lower: ndarray
    upper: ndarray
    horizon: Mapping[str, Any]  # horizon.json


def solved_share(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> SolvedShare:
    """Tried lengths with their counts, and the fitted curve with its band, from trials.csv and horizon.json."""
    seen = observations_of_rows(rows)
    lengths = sorted({trial.length for trial in seen})
    count = {length: [trial for trial in seen if trial.length == length] for length in lengths}
    grid = np.unique(np.geomspace(horizon["length_min"], horizon["length_max"], 200).round().astype(int))
    belief = posterior(seen, Grid(horizon["length_min"], horizon["length_max"]))
    fitted = belief.curve([int(g) for g in grid], horizon["level"])
    return SolvedShare(
        task=horizon["task"],
        cell=horizon["cell"],
        lengths=np.array(lengths),
        solved=np.array([sum(trial.solved for trial in count[length]) for length in lengths]),
        tried=np.array([sum(trial.replicas for trial in count[length]) for length in lengths]),
        grid=fitted.lengths,
        median=fitted.median,
        lower=fitted.lower,
        upper=fitted.upper,
        places=np.exp2(belief.grid.theta),
        density=belief.theta / STEP,
        horizon=horizon,
    )


def course(rows: Sequence[Mapping[str, Any]], horizon: Mapping[str, Any]) -> Course:
    """The interval after each trial, from trials.csv and horizon.json."""
    seen, grid = observations_of_rows(rows), Grid(horizon["length_min"], horizon["length_max"])
    beliefs = [posterior(seen[: count + 1], grid) for count in range(len(seen))]
    ends = np.array([belief.interval(horizon["level"]) for belief in beliefs])
    return Course(
        lengths=np.array([trial.length for trial in seen]),
        shares=np.array([trial.solved / trial.replicas for trial in seen]),
        medians=np.exp2([belief.quantile(0.5) for belief in beliefs]),
        lower=np.exp2(ends[:, 0]),
        upper=np.exp2(ends[:, 1]),
        horizon=horizon,
    )
