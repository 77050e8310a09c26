"""The scalar memory of xLSTM."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, State, Weights, in_steps, linear, require_chrono

FORGET = ("powerlaw", "linspace", "zero")


@dataclass(frozen=True)
class SLSTM(Cell):
    """The sLSTM step alone (xLSTM; Beck et al. 2024, arXiv:2405.04517), one head; not its block.

    i, f, z, o = W x + R h + b
    m' = max(log sigmoid(f) + m, i)                           keeps what is exponentiated at most 0; i where n = 0
    c' = exp(log sigmoid(f) + m - m') c + exp(i - m') tanh(z)
    n' = exp(log sigmoid(f) + m - m') n + exp(i - m')
    h' = sigmoid(o) c' / n'

    Reduced: without the block's convolution, group norm, heads and projections. Published (NX-AI/xlstm): W ~ N(0,
    2 / (5 inputs)), R = 0, and b = 0 but for f, where it is by `forget`
    powerlaw   5 - 12 (j / (hidden - 1))^0.3 for unit j = 0, 1, …; the authors' default for a single block
    linspace   evenly from 3 to 6; their small_init
    zero       0
    Where `init` is another, W and R begin by it. Rows of weight_ih, weight_hh and bias are in the order i, f, z, o.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "n", "m")
    kind = "state-gated"
    inits = ("published", *initialization.KINDS)

    forget: str = "powerlaw"  # how b of f begins, one of FORGET
    chrono: int | float | str | None = None  # T_max: b of f begins as log U(1, T_max - 1) instead

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.forget in FORGET, "cell.forget", f"must be one of {', '.join(FORGET)}", self.forget)
        require_chrono(self.chrono)

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"chrono": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        rows, hidden = 4 * self.hidden, self.hidden
        if self.init == "published":
            weight_ih = initialization.gaussian((rows, inputs), math.sqrt(2 / (5 * inputs)), random)
            weight_hh = torch.zeros(rows, hidden)
        else:
            weight_ih = initialization.dense(self.init, rows, inputs, hidden, random)
            weight_hh = initialization.recurrent(self.init, 4, hidden, random)
        bias = torch.zeros(rows)
        bias[hidden : 2 * hidden] = self._forget(random)
        return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}

    def _forget(self, random: torch.Generator) -> Float[Tensor, " {self.hidden}"]:
        """Return b of f."""
        if self.chrono is not None:
            return initialization.chrono(in_steps(self.chrono), self.hidden, random)
        share = torch.arange(self.hidden) / max(self.hidden - 1, 1)
        return {"powerlaw": 5 - 12 * share**0.3, "linspace": 3 + 3 * share, "zero": 0 * share}[self.forget]

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, c, n, m = state
        gates = linear(input, weights["weight_ih"], weights["bias"]) + h @ weights["weight_hh"].mT
        i, f, z, o = gates.chunk(4, dim=-1)
        kept = torch.nn.functional.logsigmoid(f) + m
        top = torch.where(n == 0, i, torch.maximum(kept, i))
        keep, write = torch.exp(kept - top), torch.exp(i - top)
        c = keep * c + write * torch.tanh(z)
        n = keep * n + write
        return torch.sigmoid(o) * c / n, c, n, top
