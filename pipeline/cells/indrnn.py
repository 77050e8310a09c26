"""The independently recurrent network."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, in_steps, linear, require_length
from pipeline.cells.stack import Stack


@dataclass(frozen=True)
class IndRNN(Stack):
    """Independently recurrent network (Li et al. 2018, arXiv:1803.04831), two layers as its authors have for adding.

    h' = max(0, W x + u h + b)        u one number a unit, |u| <= gamma^(1/T)

    A unit sees itself and the layer below, so one layer has no path from unit to unit. u is clamped after each update
    and gets no weight decay. Published (adding.py of Sunnydreamrain/IndRNN_Theano_Lasagne): W ~ N(0, 0.001^2), b = 0,
    u ~ U(0, gamma^(1/T)), in the last layer U(gamma^(-1/T), gamma^(1/T)), readout as Glorot & Bengio 2010. torch: W, b
    and readout as torch.nn has them. W is weight_ih, u weight_hh.
    """

    kind = "independent"
    inits = ("published", "torch")

    gamma: float = 2.0  # most that a unit may grow by, over T steps
    length: int | float | str = "tied"  # T, in steps; tied: the length of each training

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.gamma < math.inf, "cell.gamma", "must be at least 1, and finite", self.gamma)
        require_length(self.length, "cell.length")

    def layer(self, number: int) -> Cell:
        return _Layer(self.hidden, self.init, self.gamma, self.length, last=number == self.layers)


@dataclass(frozen=True)
class _Layer(Cell):
    """One layer."""

    kind = "independent"
    inits = ("published", "torch")

    gamma: float
    length: int | float | str
    last: bool  # whether the readout sees this layer

    @property
    def bound(self) -> float:
        """The greatest |u|."""
        return float(self.gamma ** (1 / in_steps(self.length)))

    @property
    def groups(self) -> dict[str, Group]:
        return {"weight_hh": Group(decay=False)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        published = self.init == "published"
        least = 1 / self.bound if self.last else 0.0
        u = least + (self.bound - least) * torch.rand(self.hidden, generator=random)
        return {
            "weight_ih": initialization.gaussian((self.hidden, inputs), 0.001, random)
            if published
            else initialization.dense(self.init, self.hidden, inputs, self.hidden, random),
            "weight_hh": u.clamp(max=self.bound),
            "bias": torch.zeros(self.hidden)
            if published
            else initialization.bias(self.init, self.hidden, self.hidden, random),
        }

    def project(self, weights: Weights) -> Weights:
        return {**weights, "weight_hh": weights["weight_hh"].clamp(-self.bound, self.bound)}

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        if self.init == "torch":
            return super().readout(outputs, random)
        return initialization.glorot(outputs, self.hidden, random), torch.zeros(outputs)

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        (h,) = state
        from_input = linear(input, weights["weight_ih"], weights["bias"])
        return (torch.relu(from_input + weights["weight_hh"].unsqueeze(-2) * h),)
