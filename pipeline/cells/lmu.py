"""The Legendre memory unit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import Cell, Group, State, Weights, in_steps, require_length


@dataclass(frozen=True)
class LMU(Cell):
    """Legendre memory unit (Voelker, Kajić, Eliasmith 2019, NeurIPS 32), with one memory.

    u  = e x + f h + g m                 what is written, one number
    m' = A m + B u                       `order` Legendre coefficients of the last theta steps of u
    h' = tanh(W x + U h + V m')          the new m

    A and B are weights that are not trained: a step of one (zero-order hold) of theta dm/dt = P m + Q u, where P_ij =
    (2 i + 1) (-1 where i < j, else (-1)^(i - j + 1)) and Q_i = (2 i + 1) (-1)^i, i and j from 0. theta is tied to the
    length by default, as the authors have it for digits read pixel by pixel. Published (nengo/keras-lmu): e and f ~
    U(-sqrt(3 / n), sqrt(3 / n)) for n entries, g = 0; W, U and V ~ N(0, 2 / (inputs + outputs)); no bias; readout as
    Keras has it, by Glorot & Bengio 2010. W, U, V are weight_ih, weight_hh, weight_mh; e, f, g are read_ih, read_hh,
    read_mh; A and B are memory_mm and memory_um.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "m")
    kind = "ungated"
    inits = ("published",)

    order: int = 32  # numbers of the memory
    theta: int | float | str = "tied"  # steps that it spans; tied: the length of each training

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.order <= 256, "cell.order", "must be from 1 to 256", self.order)
        require_length(self.theta, "cell.theta")

    @property
    def widths(self) -> tuple[int, ...]:
        return self.hidden, self.order

    @property
    def groups(self) -> Mapping[str, Group]:
        return dict.fromkeys(("memory_mm", "memory_um"), Group(rate=0.0, decay=False))

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"theta": max(length, 3)}

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        step, write = legendre(self.order, in_steps(self.theta))
        return {
            "weight_ih": initialization.glorot_gaussian(self.hidden, inputs, random),
            "weight_hh": initialization.glorot_gaussian(self.hidden, self.hidden, random),
            "weight_mh": initialization.glorot_gaussian(self.hidden, self.order, random),
            "read_ih": initialization.uniform((1, inputs), math.sqrt(3 / inputs), random),
            "read_hh": initialization.uniform((1, self.hidden), math.sqrt(3 / self.hidden), random),
            "read_mh": torch.zeros(1, self.order),
            "memory_mm": step,
            "memory_um": write,
        }

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        return initialization.glorot(outputs, self.hidden, random), torch.zeros(outputs)

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, m = state
        u = input @ weights["read_ih"].mT + h @ weights["read_hh"].mT + m @ weights["read_mh"].mT
        m = m @ weights["memory_mm"].mT + u @ weights["memory_um"].mT
        driven = input @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
        return torch.tanh(driven + m @ weights["weight_mh"].mT), m


def legendre(order: int, theta: int | float) -> tuple[Float[Tensor, "{order} {order}"], Float[Tensor, "{order} 1"]]:
    """Return A and B of a memory of `order` numbers that spans `theta` steps; computed in float64."""
    i = torch.arange(order, dtype=torch.float64)
    row, column = i.unsqueeze(1), i.unsqueeze(0)
    sign = torch.where(row < column, -1.0, (-1.0) ** (row - column + 1))
    both = torch.zeros(order + 1, order + 1, dtype=torch.float64)  # the exponential of this holds A and B
    both[:order, :order] = (2 * row + 1) * sign / theta
    both[:order, order] = (2 * i + 1) * (-1.0) ** i / theta
    held = torch.linalg.matrix_exp(both)
    return held[:order, :order].float(), held[:order, order:].float()
