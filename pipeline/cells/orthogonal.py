"""The recurrent network with an orthogonal matrix."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights


@dataclass(frozen=True)
class OrthogonalRNN(Cell):
    """Recurrent network with an orthogonal matrix (expRNN; Lezcano-Casado & Martínez-Rubio 2019, arXiv:1901.08428).

    h' = m(W x + Q h)                       no bias inside
    m(a) = sign(a) max(0, |a| + b)          modReLU (Arjovsky, Shah, Bengio 2016, arXiv:1511.06464), on real numbers
    Q  = exp(A - A'), A strictly upper      constrained: orthogonal at every update, once a pass

    Not constrained, Q is a weight like others that begins orthogonal (RNN-orth of nnRNN/nnRNN_release). How it begins:
    henaff      A - A' rotates pairs of units by angles of U(-pi, pi); the authors' choice for copying
    cayley      by -sqrt((1 - cos s) / (1 + cos s)), s ~ U(0, pi/2); theirs for MNIST
    orthogonal  Q uniform over the orthogonal matrices; not constrained alone
    W ~ N(0, 2 / inputs), b ~ U(-0.01, 0.01), readout N(0, 2 / hidden) with bias 0 (lezcano/expRNN). W is weight_ih, Q
    weight_hh, A skew.
    """

    kind = "ungated"

    constrained: bool = True  # whether Q stays orthogonal
    rate: float = 0.1  # multiple of the learning rate for A, where constrained; the authors' copying has 2e-5 to 2e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.rate < math.inf, "cell.rate", "must be above 0 and finite", self.rate)

    @property
    def inits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The rotations, and where Q is free any orthogonal matrix."""
        return ("henaff", "cayley") if self.constrained else ("henaff", "cayley", "orthogonal")

    @property
    def groups(self) -> Mapping[str, Group]:
        return {"skew": Group(rate=self.rate)} if self.constrained else {}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden = self.hidden
        begun = {
            "weight_ih": initialization.gaussian((hidden, inputs), math.sqrt(2 / inputs), random),
            "bias": initialization.uniform((hidden,), 0.01, random),
        }
        if self.init == "orthogonal":
            return {**begun, "weight_hh": initialization.recurrent("orthogonal", 1, hidden, random)}
        skew = self._pairs(random)
        return {**begun, "skew": skew} if self.constrained else {**begun, "weight_hh": exponential(skew)}

    def _pairs(self, random: torch.Generator) -> Float[Tensor, "{self.hidden} {self.hidden}"]:
        """Return a that turns units 1 and 2, 3 and 4, … by an angle each."""
        drawn = torch.rand(self.hidden // 2, generator=random)
        angles = (2 * drawn - 1) * math.pi
        if self.init == "cayley":
            cosine = torch.cos(drawn * math.pi / 2)
            angles = -torch.sqrt((1 - cosine) / (1 + cosine))
        skew = torch.zeros(self.hidden, self.hidden)
        first = 2 * torch.arange(self.hidden // 2)
        skew[first, first + 1] = angles
        return skew

    def materialise(self, weights: Weights) -> Weights:
        if not self.constrained:
            return weights
        kept = {name: weight for name, weight in weights.items() if name != "skew"}
        return {**kept, "weight_hh": exponential(weights["skew"])}

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        weight = initialization.gaussian((outputs, self.hidden), math.sqrt(2 / self.hidden), random)
        return weight, torch.zeros(outputs)

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        a = input @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
        return (torch.sign(a) * torch.relu(a.abs() + weights["bias"].unsqueeze(-2)),)


def exponential(upper: Float[Tensor, "*replica hidden hidden"]) -> Float[Tensor, "*replica hidden hidden"]:
    """Return exp(A - A') of the part of a matrix above its diagonal: orthogonal."""
    upper = upper.triu(diagonal=1)
    rotation: Tensor = torch.linalg.matrix_exp(upper - upper.mT)
    return rotation
