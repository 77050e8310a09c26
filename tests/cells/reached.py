"""Weights as a step reads them, and states that a cell reaches: not every number is one, see sLSTM's normaliser."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.cells.cell import Cell, State


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(cell: Cell, inputs: int, seed: int, replicas: int | None = None) -> dict[str, Tensor]:
    """Materialised float64 weights of one replica, or of several."""
    random = torch.Generator().manual_seed(seed)
    if replicas is None:
        return dict(cell.materialise({name: weight.double() for name, weight in cell.weights(inputs, random).items()}))
    several = [cell.weights(inputs, random) for _ in range(replicas)]
    stacked = {name: torch.stack([one[name] for one in several]).double() for name in several[0]}
    return dict(cell.materialise(stacked))


def reached(cell: Cell, weights: Mapping[str, Tensor], *shape: int, inputs: int, seed: int) -> State:
    """A state after some steps, [*shape, width]; shape is batch, or replicas and batch."""
    state: State = tuple(torch.zeros(*shape, width, dtype=torch.float64) for width in cell.widths)
    for step in range(4):
        state = cell.forward(weights, state, noise(*shape, inputs, seed=1000 * step + seed))
    return tuple(part.detach() for part in state)
