"""The selective state-space step of Mamba."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, in_steps, linear, require_length

KERNEL = 4  # steps of the block's convolution, of which only the bias is left


@dataclass(frozen=True)
class S6(Cell):
    """The selective state-space step alone (S6 of Mamba; Gu & Dao 2023, arXiv:2312.00752); not its block.

    u = W x + c                                  `hidden` channels
    d = softplus(P R u + b)                      step of time of each channel, from `rank` numbers
    s' = exp(-d exp(a)) s + d u (B u)            `modes` numbers a channel
    h' = sum of (C u) s' over the modes + D u    what the readout sees; it is not read again

    Reduced: without the block's SiLU, output gate, projection, norm and skip; and of its convolution, the bias c alone.
    Without c, C u is 0 where x is 0 and grows with the last value v where that is not marked: the least error of an
    answer b + v g(s) to adding is (1 - 2/T)/24, above the goal. R, B and C are the rows of weight_uu in this order, W
    is weight_ih, c bias_ih, a log_decay, D direct, P weight_dt, b bias_dt. Published (state-spaces/mamba): exp(a) = 1,
    2, … for the modes of a channel; b so that log d is uniform from log 1/slowest to log 1/fastest where P R u is 0;
    P ~ U(-1/sqrt(rank), 1/sqrt(rank)), rank = hidden / 16 rounded up; D = 1; c ~ U(-1/2, 1/2), as of a convolution of 4
    steps; the others as torch.nn.Linear. a and D get no weight decay.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "s")
    recurrent: ClassVar[tuple[str, ...]] = ()
    kind = "input-gated"
    inits = ("published",)

    modes: int = 16  # numbers of the state for each channel
    slowest: int | float | str = (
        1000  # steps: longest time scale of a channel in the beginning; tied: each training's length
    )
    fastest: int = 10  # steps: the shortest

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.modes >= 1, "cell.modes", "must be at least 1", self.modes)
        require(self.fastest >= 1, "cell.fastest", "must be at least 1", self.fastest)
        require_length(self.slowest, "cell.slowest")

    @property
    def widths(self) -> tuple[int, ...]:
        return self.hidden, self.hidden * self.modes

    @property
    def rank(self) -> int:
        """How many numbers the steps of time of all channels are made from."""
        return math.ceil(self.hidden / 16)

    @property
    def groups(self) -> Mapping[str, Group]:
        return dict.fromkeys(("log_decay", "direct"), Group(decay=False))

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"slowest": max(length, self.fastest)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden, rank, modes = self.hidden, self.rank, self.modes
        fast, slow = -math.log(self.fastest), -math.log(max(in_steps(self.slowest), self.fastest))
        d = torch.exp(slow + (fast - slow) * torch.rand(hidden, generator=random))
        return {
            "weight_ih": initialization.uniform((hidden, inputs), inputs**-0.5, random),
            "bias_ih": initialization.uniform((hidden,), KERNEL**-0.5, random),
            "weight_uu": initialization.uniform((rank + 2 * modes, hidden), hidden**-0.5, random),
            "weight_dt": initialization.uniform((hidden, rank), rank**-0.5, random),
            "bias_dt": d + torch.log(-torch.expm1(-d)),  # softplus of it is d
            "log_decay": torch.log(torch.arange(1.0, modes + 1)).repeat(hidden, 1),
            "direct": torch.ones(hidden),
        }

    def materialise(self, weights: Weights) -> Weights:
        kept = {name: weight for name, weight in weights.items() if name != "log_decay"}
        return {**kept, "decay": torch.exp(weights["log_decay"])}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        s = state[1].unflatten(-1, (self.hidden, self.modes))
        u = linear(input, weights["weight_ih"], weights["bias_ih"])
        low, b, c = (u @ weights["weight_uu"].mT).split([self.rank, self.modes, self.modes], dim=-1)
        d = torch.nn.functional.softplus(linear(low, weights["weight_dt"], weights["bias_dt"])).unsqueeze(-1)
        s = torch.exp(-d * weights["decay"].unsqueeze(-3)) * s + d * u.unsqueeze(-1) * b.unsqueeze(-2)
        return (s * c.unsqueeze(-2)).sum(dim=-1) + weights["direct"].unsqueeze(-2) * u, s.flatten(-2)
