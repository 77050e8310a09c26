"""The tanh recurrent network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, linear


@dataclass(frozen=True)
class RNN(Cell):
    """Simple recurrent network (Elman 1990) as in torch.nn.RNN.

    h' = tanh(W x + b + U h + d)

    W is weight_ih, U weight_hh, b bias_ih, d bias_hh.
    """

    kind = "ungated"

    gain: float = 1.0  # the initial U is multiplied by it, which moves how fast a gradient fades or grows

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gain < math.inf, "cell.gain", "must be above 0 and finite", self.gain)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"init": "orthogonal", "gain": 1.0}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        return {
            "weight_ih": initialization.dense(self.init, self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 1, self.hidden, random) * self.gain,
            "bias_ih": initialization.bias(self.init, self.hidden, self.hidden, random),
            "bias_hh": initialization.bias(self.init, self.hidden, self.hidden, random),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        from_input = linear(input, weights["weight_ih"], weights["bias_ih"])
        return (torch.tanh(from_input + linear(h, weights["weight_hh"], weights["bias_hh"])),)
