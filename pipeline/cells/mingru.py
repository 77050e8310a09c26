"""The minimal gated recurrent unit whose gate sees the input alone."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, linear
from pipeline.cells.stack import Stack


@dataclass(frozen=True)
class MinGRU(Stack):
    """Layers of minGRU alone (Feng et al. 2024, arXiv:2410.01201); three, as its authors have for selective copying.

    z  = sigmoid(W x + b)          how much is written
    n  = g(V x + c)                g(a) = a + 1/2 for a >= 0, sigmoid(a) below
    h' = (1 - z) h + z n           h is never below 0

    Reduced: of the authors' blocks (BorealisAI/minRNNs) this is the recurrence alone, without the linear map after it,
    RMSNorm, residual, dropout, convolution, a wider state, or a trained first state. V and W are the rows of weight_ih
    in the order n, z; c and b those of bias. Published: U(-1/sqrt(inputs), 1/sqrt(inputs)) as in torch.nn.Linear.
    """

    kind = "input-gated"
    inits = ("published", "torch")

    def layer(self, number: int) -> Cell:
        return _Layer(self.hidden, self.init)


@dataclass(frozen=True)
class _Layer(Cell):
    """One layer."""

    recurrent: ClassVar[tuple[str, ...]] = ()
    kind = "input-gated"
    inits = ("published", "torch")

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        bound = (inputs if self.init == "published" else self.hidden) ** -0.5
        return {
            "weight_ih": initialization.uniform((2 * self.hidden, inputs), bound, random),
            "bias": initialization.uniform((2 * self.hidden,), bound, random),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        n, z = linear(input, weights["weight_ih"], weights["bias"]).chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return ((1 - z) * h + z * positive(n),)


def positive(a: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return g(a): a + 1/2 for a >= 0, sigmoid(a) below; above 0 everywhere, with a continuous value."""
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))
