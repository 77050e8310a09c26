"""The minimal long short-term memory whose gates see the input alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, linear
from pipeline.cells.mingru import positive
from pipeline.cells.stack import Stack


@dataclass(frozen=True)
class MinLSTM(Stack):
    """Layers of minLSTM alone (Feng et al. 2024, arXiv:2410.01201); three, as its authors have for selective copying.

    f, i = sigmoid(W x + b), sigmoid(V x + c)    forget, input; divided by f + i where normalised
    n    = g(Q x + d)                            g(a) = a + 1/2 for a >= 0, sigmoid(a) below
    h'   = f h + i n                             h is never below 0

    Reduced as minGRU is, see there. Q, W, V are the rows of weight_ih in the order n, f, i; d, b, c those of bias.
    Published: U(-1/sqrt(inputs), 1/sqrt(inputs)) as in torch.nn.Linear, and 3 is added to b (BorealisAI/minRNNs).
    """

    kind = "input-gated"
    inits = ("published", "torch")

    forget_bias: float = 3.0  # added to the initial b
    normalised: bool = False  # whether f and i are divided by their sum, so that they add up to 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(math.isfinite(self.forget_bias), "cell.forget_bias", "must be finite", self.forget_bias)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"forget_bias": math.log(max(length, 2))}

    def layer(self, number: int) -> Cell:
        return _Layer(self.hidden, self.init, self.forget_bias, self.normalised)


@dataclass(frozen=True)
class _Layer(Cell):
    """One layer."""

    recurrent: ClassVar[tuple[str, ...]] = ()
    kind = "input-gated"
    inits = ("published", "torch")

    forget_bias: float
    normalised: bool

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        bound = (inputs if self.init == "published" else self.hidden) ** -0.5
        bias = initialization.uniform((3 * self.hidden,), bound, random)
        bias[self.hidden : 2 * self.hidden] += self.forget_bias
        return {"weight_ih": initialization.uniform((3 * self.hidden, inputs), bound, random), "bias": bias}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        n, f, i = linear(input, weights["weight_ih"], weights["bias"]).chunk(3, dim=-1)
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        total = f + i if self.normalised else 1.0
        return ((f * h + i * positive(n)) / total,)
