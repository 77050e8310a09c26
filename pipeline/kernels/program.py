"""A cell as the native passes run it: C++, the widths of its arrays, and how its matrices lie in the weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN

Weights = Mapping[str, Float[Tensor, "replica ..."]]


class Size(NamedTuple):
    """A length: so many times the number of units, and so many more."""

    units: int
    ones: int = 0

    def of(self, hidden: int) -> int:
        return self.units * hidden + self.ones


@dataclass(frozen=True)
class Program:
    """What the native passes need to know of a cell; see native/problem.h."""

    source: str  # C++ that defines the struct `Cell`
    parts: tuple[Size, ...]  # of the state
    kept: Size  # what a step keeps for the way back, for each sequence
    leaves: Callable[[Weights], list[Float[Tensor, "replica _ _"]]]  # views of weights, in the struct's order
    derive: Callable[[Weights], dict[str, Tensor]] | None = None  # what `leaves` are views of instead, if not weights
    uncovered: tuple[str, ...] = ()  # weights of which the passes leave some gradient unwritten: it is zero


def _torch_nn(weights: Weights) -> list[Float[Tensor, "replica _ _"]]:
    """Return the four weights of torch.nn, as matrices that rows are multiplied by."""
    matrices = [weights["weight_ih"].mT, weights["weight_hh"].mT]
    return [*matrices, weights["bias_ih"].unsqueeze(1), weights["bias_hh"].unsqueeze(1)]


def _by_hand(name: str, parts: int, kept: int) -> Program:
    return Program(f'#include "cells.h"\nusing Cell = {name};', (Size(1),) * parts, Size(kept), _torch_nn)


BY_HAND: Mapping[type[Cell], Program] = {
    RNN: _by_hand("RNN", 1, 0),
    GRU: _by_hand("GRU", 1, 4),
    LSTM: _by_hand("LSTM", 2, 4),
}
