"""A cell as the native passes run it: C++, the widths of its arrays, and how its matrices lie in the weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

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
