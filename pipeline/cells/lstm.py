"""The long short-term memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, in_steps, linear, require_chrono


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory with a forget gate as in torch.nn.LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    i, f, o = sigmoid(W x + b + U h + d)  input, forget, output
    g       = tanh(V x + c + Q h + e)     proposal
    c'      = f c + i g
    h'      = o tanh(c')

    W and V are the rows of weight_ih in the order i, f, g, o; U and Q those of weight_hh; the biases are bias_ih and
    bias_hh.
    """

    kind = "state-gated"
    states: ClassVar[tuple[str, ...]] = ("h", "c")

    forget_bias: float  # added to the initial bias of f: above 0 the cell state is kept longer
    chrono: int | float | str | None = (
        None  # T_max of the chrono init: b + d of f is log U(1, T_max - 1), of i its negative
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_chrono(self.chrono)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"forget_bias": 0.0, "chrono": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        bias_ih = initialization.bias(self.init, 4 * self.hidden, self.hidden, random)
        bias_ih[self.hidden : 2 * self.hidden] += self.forget_bias
        weights = {
            "weight_ih": initialization.dense(self.init, 4 * self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 4, self.hidden, random),
            "bias_ih": bias_ih,
            "bias_hh": initialization.bias(self.init, 4 * self.hidden, self.hidden, random),
        }
        if self.chrono is not None:
            forget = initialization.chrono(in_steps(self.chrono), self.hidden, random)
            weights["bias_ih"][: 2 * self.hidden] = torch.cat([-forget, forget + self.forget_bias])
            weights["bias_hh"][: 2 * self.hidden] = 0.0
        return weights

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, c = state
        from_input = linear(input, weights["weight_ih"], weights["bias_ih"])
        gates = from_input + linear(h, weights["weight_hh"], weights["bias_hh"])
        i, f, g, o = gates.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
