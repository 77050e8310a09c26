"""The gated recurrent unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, in_steps, linear, require_chrono


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit as in torch.nn.GRU (Cho et al. 2014, arXiv:1406.1078).

    r, z = sigmoid(W x + b + U h + d)   reset, keep
    n    = tanh(V x + c + r (Q h + e))  proposal
    h'   = z h + (1 - z) n

    W and V are the rows of weight_ih in the order r, z, n; U and Q those of weight_hh; b and c of bias_ih; d and e of
    bias_hh.
    """

    kind = "state-gated"

    update_bias: float  # added to the initial bias of z: above 0 the state is kept longer
    chrono: int | float | str | None = None  # T_max of the chrono init: b + d of z, which keeps, is log U(1, T_max - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_chrono(self.chrono)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"update_bias": 0.0, "chrono": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        bias_ih = initialization.bias(self.init, 3 * self.hidden, self.hidden, random)
        bias_ih[self.hidden : 2 * self.hidden] += self.update_bias
        weights = {
            "weight_ih": initialization.dense(self.init, 3 * self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 3, self.hidden, random),
            "bias_ih": bias_ih,
            "bias_hh": initialization.bias(self.init, 3 * self.hidden, self.hidden, random),
        }
        if self.chrono is not None:
            keep = slice(self.hidden, 2 * self.hidden)
            drawn = initialization.chrono(in_steps(self.chrono), self.hidden, random)
            weights["bias_ih"][keep] = drawn + self.update_bias
            weights["bias_hh"][keep] = 0.0
        return weights

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        from_input = linear(input, weights["weight_ih"], weights["bias_ih"]).chunk(3, dim=-1)
        from_state = linear(h, weights["weight_hh"], weights["bias_hh"]).chunk(3, dim=-1)
        r = torch.sigmoid(from_input[0] + from_state[0])
        z = torch.sigmoid(from_input[1] + from_state[1])
        n = torch.tanh(from_input[2] + r * from_state[2])
        return (z * h + (1 - z) * n,)
