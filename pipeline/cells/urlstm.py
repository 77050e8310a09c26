"""The LSTM with a refined forget gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, linear


@dataclass(frozen=True)
class URLSTM(Cell):
    """LSTM with uniform gate initialisation and a refine gate (Gu et al. 2020, arXiv:1910.09890).

    f, r = sigmoid(W x + U h + b + beta), sigmoid(V x + Q h + c - beta)    forget, refine
    n, o = tanh(…), sigmoid(…)                                             proposal, output
    k    = 2 r f + (1 - 2 r) f^2                                           what is kept: from f^2 to 1 - (1 - f)^2
    c'   = k c + (1 - k) n
    h'   = o tanh(c')

    beta = -log(1/u - 1) with u ~ U(1/hidden, 1 - 1/hidden), so that sigmoid(beta) is uniform: units begin with time
    scales of up to `hidden` steps. It is a weight that is not trained, as in state-spaces/s4; `learned` trains it, as
    r0mainK/ur-lstm does. Rows of weight_ih, weight_hh and both biases are in the order f, r, n, o; published: `init`
    torch.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c")
    kind = "state-gated"

    learned: bool = False  # whether beta is trained

    @property
    def groups(self) -> Mapping[str, Group]:
        return {} if self.learned else {"beta": Group(rate=0.0, decay=False)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden, edge = self.hidden, min(1 / self.hidden, 0.5)
        u = edge + (1 - 2 * edge) * torch.rand(hidden, generator=random)
        return {
            "weight_ih": initialization.dense(self.init, 4 * hidden, inputs, hidden, random),
            "weight_hh": initialization.recurrent(self.init, 4, hidden, random),
            "bias_ih": initialization.bias(self.init, 4 * hidden, hidden, random),
            "bias_hh": initialization.bias(self.init, 4 * hidden, hidden, random),
            "beta": -torch.log(1 / u - 1),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, c = state
        gates = linear(input, weights["weight_ih"], weights["bias_ih"])
        f, r, n, o = (gates + linear(h, weights["weight_hh"], weights["bias_hh"])).chunk(4, dim=-1)
        beta = weights["beta"].unsqueeze(-2)
        f, r = torch.sigmoid(f + beta), torch.sigmoid(r - beta)
        k = 2 * r * f + (1 - 2 * r) * f * f
        c = k * c + (1 - k) * torch.tanh(n)
        return torch.sigmoid(o) * torch.tanh(c), c
