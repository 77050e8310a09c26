"""A linear cell, for which everything is known."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells.cell import Cell, State, Weights, linear


@dataclass(frozen=True)
class Linear(Cell):
    """h' = U h + W x."""

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        raise NotImplementedError

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        zero = torch.zeros_like(weights["weight_hh"][..., 0])
        return (linear(state[0], weights["weight_hh"], zero) + linear(input, weights["weight_ih"], zero),)
