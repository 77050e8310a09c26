"""The recurrent network with an antisymmetric matrix."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, linear


@dataclass(frozen=True)
class AntisymmetricRNN(Cell):
    """Recurrent network with an antisymmetric matrix (Chang et al. 2019, arXiv:1902.09689), without its gate.

    h' = h + epsilon tanh(K h + W x + b)        a step of Euler
    K  = A - A' - gamma I                       A strictly upper; eigenvalues near the imaginary axis

    epsilon and gamma are weights that are not trained; the authors tune them. Published (erichson/LipschitzRNN): A - A'
    is V - V', V ~ N(0, 1 / hidden^2), W and the readout ~ N(0, 2 / (inputs + outputs)), b = 0. W is weight_ih,
    K weight_hh, A skew.
    """

    kind = "ungated"
    inits = ("published", *initialization.KINDS)

    epsilon: float = 0.1  # step of time
    gamma: float = 0.15  # diffusion, which damps

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.epsilon < math.inf, "cell.epsilon", "must be above 0 and finite", self.epsilon)
        require(0 <= self.gamma < math.inf, "cell.gamma", "must be at least 0 and finite", self.gamma)

    @property
    def groups(self) -> Mapping[str, Group]:
        return dict.fromkeys(("epsilon", "gamma"), Group(rate=0.0, decay=False))

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden = self.hidden
        if self.init == "published":
            weight_ih = initialization.glorot_gaussian(hidden, inputs, random)
            drawn, bias = initialization.gaussian((hidden, hidden), 1 / hidden, random), torch.zeros(hidden)
        else:
            weight_ih = initialization.dense(self.init, hidden, inputs, hidden, random)
            drawn = initialization.recurrent(self.init, 1, hidden, random)
            bias = initialization.bias(self.init, hidden, hidden, random)
        return {
            "weight_ih": weight_ih,
            "skew": (drawn - drawn.T).triu(diagonal=1),
            "bias": bias,
            "epsilon": torch.full((hidden,), self.epsilon),
            "gamma": torch.full((hidden,), self.gamma),
        }

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        if self.init != "published":
            return super().readout(outputs, random)
        return initialization.glorot_gaussian(outputs, self.hidden, random), torch.zeros(outputs)

    def materialise(self, weights: Weights) -> Weights:
        kept = {name: weight for name, weight in weights.items() if name not in ("skew", "gamma")}
        upper = weights["skew"].triu(diagonal=1)
        return {**kept, "weight_hh": upper - upper.mT - torch.diag_embed(weights["gamma"])}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        a = linear(input, weights["weight_ih"], weights["bias"]) + h @ weights["weight_hh"].mT
        return (h + weights["epsilon"].unsqueeze(-2) * torch.tanh(a),)
