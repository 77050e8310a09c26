"""A few small steps of a cell before anything trains, so that a wrong cell ends with one sentence, not a traceback.

Each rule is a promise that the passes through time, the measurements of the gradient and the files rely on. A cell that
breaks one would train on nonsense, or fail far from its cause.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import torch

from pipeline.base.errors import UserError
from pipeline.cells.cell import Cell
from pipeline.cells.check.gradients import require_gradients
from pipeline.cells.check.steps import require_alone, require_pure_steps
from pipeline.cells.check.training import require_training
from pipeline.cells.check.trial import Trial
from pipeline.cells.check.weights import begun

LARGE = 64  # units above which a smaller copy of the cell is tried in its place
SMALLER = 32  # units of that copy


def require_sound(cell: Cell, channels: int, length: int) -> None:
    """Raise `UserError` where weights or steps of a cell are not as they should be, for inputs of this size.

    Where it has many units, a copy with fewer stands in for it, if the cell allows one.
    """
    try:
        _require_sound(cell, channels, length)
    except TypeError:  # a field that can't be hashed
        _require_sound.__wrapped__(cell, channels, length)


@lru_cache(maxsize=64)
def _require_sound(cell: Cell, channels: int, length: int) -> None:
    smaller = _smaller(cell)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), _one_thread():
        warnings.simplefilter("ignore")
        try:
            _try(smaller, channels, length)
        except UserError:
            if smaller is cell:
                raise
            _try(cell, channels, length)


def _try(cell: Cell, channels: int, length: int) -> None:
    """Apply the rules in the order in which a sentence says most."""
    trial = Trial.of(cell, channels, length)
    weights = begun(trial)
    require_training(trial, weights)
    require_pure_steps(trial, weights)
    wide = {name: weight.double() for name, weight in weights.items()}
    require_gradients(trial, wide)
    require_alone(trial, wide)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads take ten times as long for such small tensors, and longer on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _smaller(cell: Cell) -> Cell:
    if cell.hidden <= LARGE:
        return cell
    try:
        return replace(cell, hidden=SMALLER)
    except Exception:  # whatever a cell says to another number of units than its own
        return cell
