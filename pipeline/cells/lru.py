"""The linear recurrent unit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import TIED, Cell, Group, State, Weights, in_steps

EDGE = 1e-6  # drawn shares stay so far from 0 and 1, where a logarithm would be infinite


@dataclass(frozen=True)
class LRU(Cell):
    """The recurrence of the linear recurrent unit alone (Orvieto et al. 2023, arXiv:2303.06349), in real numbers.

    r = exp(-exp(nu)), f = exp(theta), g = exp(gamma)     modulus, phase, scale of the input, one a mode
    p' = r (cos f p - sin f q) + g (B x)
    q' = r (sin f p + cos f q) + g (C x)                   p + i q is the complex state, times r e^(i f) each step

    h is p and q side by side, twice `hidden` numbers; an affine readout of both stands for the paper's Re(C s).
    Reduced: one linear, time-invariant layer, without the paper's D, GELU, gate, skip and norm; so the answer is linear
    in the inputs, and no training makes it add marked values. Published (NicolasZucchet/minimal-LRU): r^2 ~ U(r_min^2,
    r_max^2), f ~ U(0, phase), g = sqrt(1 - r^2) and trained, B and C ~ N(0, 1 / (2 inputs)), the halves of weight_ih.
    The paper moves the ring outwards where sequences are long; r_max tied to the length is a rule of this project:
    exp(-1/T), so that the slowest mode lasts T steps in the beginning; all begin with r_min where that is above it.
    """

    recurrent: ClassVar[tuple[str, ...]] = ()
    kind = "linear"
    inits = ("published",)

    r_min: float = 0.0  # least modulus in the beginning
    r_max: float | str = 1.0  # and the greatest; or tied
    phase: float = 6.28  # greatest phase in the beginning, in radians
    rate: float = 1.0  # multiple of the learning rate for nu, theta and gamma

    def __post_init__(self) -> None:
        super().__post_init__()
        number = isinstance(self.r_max, int | float) and 0 < self.r_max <= 1
        rule = f"must be above 0 and at most 1, or {TIED} to the length of each training"
        require(number or self.r_max == TIED, "cell.r_max", rule, self.r_max)
        greatest = self.r_max if isinstance(self.r_max, int | float) else 1.0
        below = 0 <= self.r_min <= greatest and self.r_min < 1
        require(below, "cell.r_min", "must be at least 0, below 1 and at most cell.r_max", self.r_min)
        require(0 < self.phase <= 2 * math.pi, "cell.phase", "must be above 0 and at most 2 pi", self.phase)
        require(0 < self.rate < math.inf, "cell.rate", "must be above 0 and finite", self.rate)

    @property
    def widths(self) -> tuple[int, ...]:
        return (2 * self.hidden,)

    @property
    def groups(self) -> Mapping[str, Group]:
        modes = dict.fromkeys(("nu", "theta", "gamma"), Group(self.rate))
        return modes if self.rate != 1 else {}

    def for_length(self, length: int) -> Cell:
        return replace(self, r_max=max(self.r_min, math.exp(-1 / length))) if self.r_max == TIED else self

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"r_min": math.exp(-1 / length), "r_max": 1.0}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        share, turn = torch.rand(2, self.hidden, generator=random).double().clamp(EDGE, 1 - EDGE)
        r = torch.sqrt(share * (in_steps(self.r_max) ** 2 - self.r_min**2) + self.r_min**2)
        return {
            "weight_ih": initialization.gaussian((2 * self.hidden, inputs), math.sqrt(1 / (2 * inputs)), random),
            "nu": torch.log(-torch.log(r)).float(),
            "theta": torch.log(self.phase * turn).float(),
            "gamma": (0.5 * torch.log(1 - r**2)).float(),
        }

    def materialise(self, weights: Weights) -> Weights:
        r, f = torch.exp(-torch.exp(weights["nu"])), torch.exp(weights["theta"])
        scale = torch.exp(weights["gamma"])
        return {
            "weight_ih": torch.cat([scale, scale], dim=-1).unsqueeze(-1) * weights["weight_ih"],
            "cosine": r * torch.cos(f),
            "sine": r * torch.sin(f),
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        p, q = state[0].chunk(2, dim=-1)
        cosine, sine = weights["cosine"].unsqueeze(-2), weights["sine"].unsqueeze(-2)
        turned = torch.cat([cosine * p - sine * q, sine * p + cosine * q], dim=-1)
        return (turned + input @ weights["weight_ih"].mT,)
