"""The recurrently neuromodulated bistable cell."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, linear


@dataclass(frozen=True)
class NBRC(Cell):
    """Recurrently neuromodulated bistable recurrent cell (nBRC; Vecoven, Ernst, Drion 2021, arXiv:2006.05252).

    a  = 1 + tanh(W x + b + U h)           feedback of a unit to itself: above 1 it has two stable states
    c  = sigmoid(V x + d + Q h)            keep
    h' = c h + (1 - c) tanh(R x + e + a h)

    W, V and R are the rows of weight_ih in the order a, c, h; U and Q those of weight_hh; b, d and e of bias. They
    begin as torch.nn.GRU has them; how the authors begin is not known here.
    """

    kind = "state-gated"

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        return {
            "weight_ih": initialization.dense(self.init, 3 * self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 2, self.hidden, random),
            "bias": initialization.bias(self.init, 3 * self.hidden, self.hidden, random),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        from_input = linear(input, weights["weight_ih"], weights["bias"]).chunk(3, dim=-1)
        from_state = (h @ weights["weight_hh"].mT).chunk(2, dim=-1)
        a = 1 + torch.tanh(from_input[0] + from_state[0])
        c = torch.sigmoid(from_input[1] + from_state[1])
        return (c * h + (1 - c) * torch.tanh(from_input[2] + a * h),)
