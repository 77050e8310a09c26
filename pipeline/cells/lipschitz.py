"""The Lipschitz recurrent network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, linear

FIXED = ("epsilon", "beta", "gamma")


@dataclass(frozen=True)
class LipschitzRNN(Cell):
    """Lipschitz recurrent network (Erichson et al. 2021, arXiv:2006.12070), its step of Euler.

    h' = h + epsilon (A h + tanh(K h + W x + b))
    A  = beta (M - M') + (1 - beta) (M + M') - gamma I       at beta 1 without a symmetric part
    K  = the same of N

    epsilon, beta and gamma are weights that are not trained; the authors tune them. Published (erichson/LipschitzRNN):
    M and N ~ N(0, (deviation / hidden)^2), W and the readout N(0, 2 / (inputs + outputs)), b = 0; the defaults are
    theirs for digits read pixel by pixel, for deviation that of their code; their examples have 32. W is weight_ih, K
    weight_hh, A linear_hh, M linear_free, N free.
    """

    kind = "ungated"
    inits = ("published", *initialization.KINDS)
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh", "linear_hh")

    epsilon: float = 0.03  # step of time
    beta: float = 0.75  # share of the antisymmetric part
    gamma: float = 0.001  # damping
    deviation: float = 1.0  # times 1 / hidden: standard deviation of the entries of M and N in the beginning

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.epsilon < math.inf, "cell.epsilon", "must be above 0 and finite", self.epsilon)
        require(0 <= self.beta <= 1, "cell.beta", "must be from 0 to 1", self.beta)
        require(0 <= self.gamma < math.inf, "cell.gamma", "must be at least 0 and finite", self.gamma)
        require(0 < self.deviation < math.inf, "cell.deviation", "must be above 0 and finite", self.deviation)

    @property
    def groups(self) -> Mapping[str, Group]:
        return dict.fromkeys(FIXED, Group(rate=0.0, decay=False))

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden, fixed = self.hidden, {name: torch.full((self.hidden,), getattr(self, name)) for name in FIXED}
        if self.init == "published":
            entry = self.deviation / hidden
            return {
                "weight_ih": initialization.glorot_gaussian(hidden, inputs, random),
                "free": initialization.gaussian((hidden, hidden), entry, random),
                "linear_free": initialization.gaussian((hidden, hidden), entry, random),
                "bias": torch.zeros(hidden),
                **fixed,
            }
        return {
            "weight_ih": initialization.dense(self.init, hidden, inputs, hidden, random),
            "free": initialization.recurrent(self.init, 1, hidden, random),
            "linear_free": initialization.recurrent(self.init, 1, hidden, random),
            "bias": initialization.bias(self.init, hidden, hidden, random),
            **fixed,
        }

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        if self.init != "published":
            return super().readout(outputs, random)
        return initialization.glorot_gaussian(outputs, self.hidden, random), torch.zeros(outputs)

    def materialise(self, weights: Weights) -> Weights:
        beta, gamma = weights["beta"].unsqueeze(-1), torch.diag_embed(weights["gamma"])
        kept = {name: weights[name] for name in ("weight_ih", "bias", "epsilon")}
        made = {
            name: beta * (free - free.mT) + (1 - beta) * (free + free.mT) - gamma
            for name, free in (("weight_hh", weights["free"]), ("linear_hh", weights["linear_free"]))
        }
        return {**kept, **made}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        driven = torch.tanh(linear(input, weights["weight_ih"], weights["bias"]) + h @ weights["weight_hh"].mT)
        return (h + weights["epsilon"].unsqueeze(-2) * (h @ weights["linear_hh"].mT + driven),)
