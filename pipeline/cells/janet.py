"""The LSTM with a forget gate alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, in_steps, linear, require_length


@dataclass(frozen=True)
class JANET(Cell):
    """Just another network: one gate (van der Westhuizen & Lasenby 2018, arXiv:1804.04849).

    s  = W x + U h + b                     forget, before the sigmoid
    n  = tanh(V x + Q h + c)               proposal
    h' = sigmoid(s) h + sigmoid(1 - s) n   1 - sigmoid(s - 1) = sigmoid(1 - s)

    W and V are the rows of weight_ih in the order s, n; U and Q those of weight_hh; b and c of bias. Published: b is
    log U(1, T_max), c = 0, matrices as TensorFlow draws them (Glorot; JosvanderWesthuizen/janet). The others keep b.
    """

    kind = "state-gated"
    inits = ("published", *initialization.KINDS)

    longest: int | float | str = "tied"  # T_max of b, in steps; tied: the length of each training

    def __post_init__(self) -> None:
        super().__post_init__()
        require_length(self.longest, "cell.longest")

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"longest": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        rows = 2 * self.hidden
        if self.init == "published":
            weight_ih = initialization.glorot(rows, inputs, random)
            weight_hh, bias = initialization.glorot(rows, self.hidden, random), torch.zeros(rows)
        else:
            weight_ih = initialization.dense(self.init, rows, inputs, self.hidden, random)
            weight_hh = initialization.recurrent(self.init, 2, self.hidden, random)
            bias = initialization.bias(self.init, rows, self.hidden, random)
        bias[: self.hidden] = initialization.chrono(in_steps(self.longest) + 1, self.hidden, random)
        return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        s, n = (linear(input, weights["weight_ih"], weights["bias"]) + h @ weights["weight_hh"].mT).chunk(2, dim=-1)
        return (torch.sigmoid(s) * h + torch.sigmoid(1 - s) * torch.tanh(n),)
