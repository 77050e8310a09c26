"""The minimal gated unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, in_steps, linear, require_chrono


@dataclass(frozen=True)
class MGU(Cell):
    """Minimal gated unit (Zhou, Wu, Zhang, Zhou 2016, arXiv:1603.09420): a GRU whose one gate resets and updates.

    f  = sigmoid(W x + b + U h)            forget: 1 takes the proposal, 0 keeps
    n  = tanh(V x + c + Q (f h))           proposal
    h' = (1 - f) h + f n

    W and V are the rows of weight_ih in the order f, n; U is weight_hh, Q weight_nh; b and c are those of bias. They
    begin as torch.nn.GRU has them; how the authors begin is not known here.
    """

    kind = "state-gated"
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh", "weight_nh")

    chrono: int | float | str | None = None  # T_max of the chrono init, not the authors': b is -log U(1, T_max - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_chrono(self.chrono)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"chrono": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        weights = {
            "weight_ih": initialization.dense(self.init, 2 * self.hidden, inputs, self.hidden, random),
            "weight_hh": initialization.recurrent(self.init, 1, self.hidden, random),
            "weight_nh": initialization.recurrent(self.init, 1, self.hidden, random),
            "bias": initialization.bias(self.init, 2 * self.hidden, self.hidden, random),
        }
        if self.chrono is not None:
            kept = initialization.chrono(in_steps(self.chrono), self.hidden, random)
            weights["bias"][: self.hidden] = -kept
        return weights

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        gate, proposal = linear(input, weights["weight_ih"], weights["bias"]).chunk(2, dim=-1)
        f = torch.sigmoid(gate + h @ weights["weight_hh"].mT)
        n = torch.tanh(proposal + (f * h) @ weights["weight_nh"].mT)
        return ((1 - f) * h + f * n,)
