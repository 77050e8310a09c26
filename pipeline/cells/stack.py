"""Layers of cells, one above the other."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells.cell import Cell, Group, State, Weights

T = TypeVar("T")


@dataclass(frozen=True)
class Stack(Cell):
    """A cell of cells: within one step, layer 1 reads the input and each other layer the h of the one below.

    The readout sees the last layer. Its parts of the state keep their names and come first; those of layer 1 end with
    _1, and so on: h, h_1 of two layers. Weights end with the number of their layer.
    """

    layers: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.layers <= 64, "cell.layers", "must be from 1 to 64", self.layers)

    @abstractmethod
    def layer(self, number: int) -> Cell:
        """Return the cell of layer 1 … `layers`."""

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The layers, from the input upwards."""
        return tuple(self.layer(number) for number in range(1, self.layers + 1))

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of all parts, those of the last layer first."""
        below = [f"{name}_{number}" for number, cell in enumerate(self.cells[:-1], 1) for name in cell.states]
        return (*self.cells[-1].states, *below)

    @property
    def recurrent(self) -> tuple[str, ...]:  # type: ignore[override]
        """The weights of all layers that read their own state."""
        return tuple(f"{name}_{number}" for number, cell in enumerate(self.cells, 1) for name in cell.recurrent)

    @property
    def widths(self) -> tuple[int, ...]:
        return (*self.cells[-1].widths, *(width for cell in self.cells[:-1] for width in cell.widths))

    @property
    def groups(self) -> Mapping[str, Group]:
        return _numbered([cell.groups for cell in self.cells])

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        read = [inputs, *(cell.widths[0] for cell in self.cells)]
        return _numbered([cell.weights(width, random) for cell, width in zip(self.cells, read, strict=False)])

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        after: list[State] = []
        for cell, own, part in zip(self.cells, self._by_layer(weights), self._parts(state), strict=True):
            after.append(cell.forward(own, part, after[-1][0] if after else input))
        return self._together(after)

    def materialise(self, weights: Weights) -> Weights:
        given = self._by_layer(weights)
        ready = [cell.materialise(own) for cell, own in zip(self.cells, given, strict=True)]
        return weights if all(one is other for one, other in zip(ready, given, strict=True)) else _numbered(ready)

    def project(self, weights: Weights) -> Weights:
        given = self._by_layer(weights)
        allowed = [cell.project(own) for cell, own in zip(self.cells, given, strict=True)]
        return weights if all(one is other for one, other in zip(allowed, given, strict=True)) else _numbered(allowed)

    def initial(self, weights: Weights) -> State | None:
        given = self._by_layer(weights)
        states = [cell.initial(own) for cell, own in zip(self.cells, given, strict=True)]
        if all(state is None for state in states):
            return None
        zeros = [cell.start(own, 1) for cell, own in zip(self.cells, given, strict=True)]
        return self._together([zero if state is None else state for state, zero in zip(states, zeros, strict=True)])

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        return self.cells[-1].readout(outputs, random)

    def _by_layer(self, weights: Weights) -> list[Weights]:
        return [_of_layer(weights, number) for number in range(1, self.layers + 1)]

    def _parts(self, state: State) -> list[State]:
        """Return the state of each layer, from the input upwards."""
        top = len(self.cells[-1].states)
        found, begin = [], top
        for cell in self.cells[:-1]:
            found.append(state[begin : begin + len(cell.states)])
            begin += len(cell.states)
        return [*found, state[:top]]

    def _together(self, states: list[State]) -> State:
        """Return the inverse of `_parts`."""
        return tuple(part for state in (states[-1], *states[:-1]) for part in state)


def _numbered(layers: Sequence[Mapping[str, T]]) -> dict[str, T]:
    return {f"{name}_{number}": value for number, layer in enumerate(layers, 1) for name, value in layer.items()}


def _of_layer(weights: Weights, number: int) -> Weights:
    ending = f"_{number}"
    return {name.removesuffix(ending): weight for name, weight in weights.items() if name.endswith(ending)}
