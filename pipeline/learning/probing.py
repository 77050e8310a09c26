"""Scores on held-out sequences: a first look at some of them, and the others where they could tell something."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pipeline.learning.batches import Sequences
from pipeline.learning.first_look import Scores, Wanted, surely_not_below
from pipeline.learning.model import Model
from pipeline.learning.objective import Objective

CHUNK = 250  # held-out sequences scored at once, and those of the first look: more cost memory and gain no speed


@torch.no_grad()
def probe(model: Model, held_out: Sequences, objective: Objective, answers: int, wanted: Wanted) -> Scores:
    """Return the score of each replica, on all held-out sequences where they may decide something."""
    count = held_out.inputs.shape[2]
    looked = min(CHUNK, count)
    outputs = model(held_out.inputs[:, :, :looked], answers)
    targets = held_out.targets[:, :, :looked]
    first = objective.score(outputs, targets)
    errors = _array(objective.errors(outputs, targets)).astype(np.float64)
    sure = np.array([surely_not_below(goal, errors, count, wanted.probes) for goal in wanted.goals]).all(axis=0)
    open_ = np.flatnonzero(~sure | (_array(first) < wanted.watched) | wanted.whole)
    scores, counts = _array(first).copy(), np.full(len(first), looked)
    if looked < count and open_.size:
        rows = torch.from_numpy(open_).to(model.rows.device)
        some = replace(model, rows=model.rows[rows])
        total = first[rows] * looked + _total(some, held_out, objective, answers, looked)
        scores[open_], counts[open_] = _array(total) / count, count
    return Scores(scores, _array(first), counts, count)


@torch.no_grad()
def evaluate(model: Model, held_out: Sequences, objective: Objective, answers: int) -> Float[ndarray, " replica"]:
    """Return the score of each replica on all held-out sequences."""
    scored: ndarray = _array(_total(model, held_out, objective, answers, 0)) / held_out.inputs.shape[2]
    return scored


def _total(model: Model, held_out: Sequences, objective: Objective, answers: int, begin: int) -> Tensor:
    """Return the sum of the errors of each replica, from sequence `begin` on."""
    inputs, targets = (rows[:, :, begin:].split(CHUNK, dim=2) for rows in (held_out.inputs, held_out.targets))
    kept = slice(len(model.rows))
    return torch.as_tensor(
        sum(
            objective.score(model(one[kept], answers), other[kept]) * one.shape[2]
            for one, other in zip(inputs, targets, strict=True)
        )
    )


def _array(tensor: Tensor) -> ndarray:
    array: ndarray = tensor.cpu().numpy()
    return array
