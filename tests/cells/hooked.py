"""A cell that uses every method that a cell may have."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.cells.cell import Cell, Group, State, Weights


@dataclass(frozen=True)
class Hooked(Cell):
    """s' = tanh(W x + u s + P h), h' = g tanh(Q O s'), where Q is orthogonal, |u| at most 0.9^(1/length), g fixed."""

    states = ("h", "s")
    recurrent = ("weight_hh",)
    kind = "ungated"

    length: int | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        return self.hidden, 2 * self.hidden

    @property
    def groups(self) -> Mapping[str, Group]:
        return {"skew": Group(rate=0.1), "u": Group(decay=False), "gain": Group(rate=0.0, decay=False)}

    @property
    def bound(self) -> float:
        assert self.length is not None
        return float(0.9 ** (1 / self.length))

    def for_length(self, length: int) -> Cell:
        return replace(self, length=length)

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Tensor]:
        h = self.hidden
        return {
            "skew": torch.randn(h, h, generator=random),
            "weight_ih": torch.randn(2 * h, inputs, generator=random),
            "weight_hh": torch.randn(2 * h, h, generator=random) / h,
            "out": torch.randn(h, 2 * h, generator=random) / h,
            "u": torch.rand(2 * h, generator=random) * self.bound,
            "start": torch.randn(2 * h, generator=random),
            "gain": torch.rand(h, generator=random) + 0.5,
        }

    def materialise(self, weights: Weights) -> Weights:
        skew = weights["skew"]
        orthogonal = torch.linalg.matrix_exp(skew - skew.mT)
        kept = {name: weight for name, weight in weights.items() if name not in ("skew", "out")}
        return {**kept, "out": orthogonal @ weights["out"]}

    def initial(self, weights: Weights) -> State:
        start = weights["start"].unsqueeze(-2)
        return torch.zeros_like(start[..., : self.hidden]), start

    def project(self, weights: Weights) -> Weights:
        return {**weights, "u": weights["u"].clamp(-self.bound, self.bound)}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, s = state
        read = input @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
        s = torch.tanh(read + weights["u"].unsqueeze(-2) * s)
        return weights["gain"].unsqueeze(-2) * torch.tanh(s @ weights["out"].mT), s
