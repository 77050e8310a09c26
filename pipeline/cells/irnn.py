"""The identity recurrent network."""

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
class IRNN(Cell):
    """Rectified linear units that begin as the identity (Le, Jaitly, Hinton 2015, arXiv:1504.00941).

    h' = max(0, W x + U h + b)

    published: U = gain I, b = 0; W ~ N(0, 0.001^2), as the authors of the IndRNN ran it in their comparison (adding.py
    of Sunnydreamrain/IndRNN_Theano_Lasagne). W is weight_ih, U weight_hh.
    """

    kind = "ungated"
    inits = ("published", *initialization.KINDS)

    gain: float = 1.0  # the initial U is multiplied by it

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gain < math.inf, "cell.gain", "must be above 0 and finite", self.gain)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"init": "published", "gain": 1.0}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        if self.init == "published":
            return {
                "weight_ih": initialization.gaussian((self.hidden, inputs), 0.001, random),
                "weight_hh": torch.eye(self.hidden) * self.gain,
                "bias": torch.zeros(self.hidden),
            }
        return {
            "weight_ih": initialization.dense(self.init, self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 1, self.hidden, random) * self.gain,
            "bias": initialization.bias(self.init, self.hidden, self.hidden, random),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        return (torch.relu(linear(input, weights["weight_ih"], weights["bias"]) + h @ weights["weight_hh"].mT),)
