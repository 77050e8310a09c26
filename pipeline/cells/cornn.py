"""The coupled oscillatory network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import TIED, Cell, Group, State, Weights, in_steps, linear

PUBLISHED, LENGTH = 0.06, 100  # step of time of the authors' script for adding, and its length in steps


@dataclass(frozen=True)
class CoRNN(Cell):
    """Coupled oscillatory network (Rusch & Mishra 2020, arXiv:2010.00951), where y is h.

    z' = z + dt (tanh(W x + U h + Q z + b) - gamma h - epsilon z)    velocity
    h' = h + dt z'                                                   position

    Published (tk-rusch/coRNN): W, U, Q and b ~ U(-s, s), s = 1/sqrt(inputs + 2 hidden), as one torch.nn.Linear. dt,
    gamma and epsilon are weights that are not trained; the authors chose them anew for each task, and the defaults are
    those of their script for adding at 100 steps. dt tied to the length is a rule of this project: 6/T, at most 0.06,
    so that from 100 steps on every sequence spans the same time, that of their script. W is weight_ih, U weight_hh, Q
    weight_zh.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "z")
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh", "weight_zh")
    kind = "oscillator"
    inits = ("published", *initialization.KINDS)

    dt: float | str = PUBLISHED  # step of time; or tied
    gamma: float = 66.0  # stiffness: squared frequency
    epsilon: float = 15.0  # damping

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = self.dt == TIED or (isinstance(self.dt, int | float) and 0 < self.dt < math.inf)
        require(sound, "cell.dt", f"must be above 0 and finite, or {TIED} to the length of each training", self.dt)
        for name in ("gamma", "epsilon"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"cell.{name}", "must be above 0 and finite", value)

    def for_length(self, length: int) -> Cell:
        return replace(self, dt=PUBLISHED * min(LENGTH / length, 1.0)) if self.dt == TIED else self

    @property
    def groups(self) -> Mapping[str, Group]:
        return dict.fromkeys(("dt", "gamma", "epsilon"), Group(rate=0.0, decay=False))

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        hidden = self.hidden
        constants = {"dt": in_steps(self.dt), "gamma": self.gamma, "epsilon": self.epsilon}
        fixed = {name: torch.full((hidden,), value) for name, value in constants.items()}
        if self.init == "published":
            bound = (inputs + 2 * hidden) ** -0.5
            names, widths = ("weight_ih", "weight_hh", "weight_zh"), (inputs, hidden, hidden)
            drawn = initialization.uniform((hidden, inputs + 2 * hidden), bound, random).split(widths, dim=1)
            bias = initialization.uniform((hidden,), bound, random)
            return {**dict(zip(names, drawn, strict=True)), "bias": bias, **fixed}
        return {
            "weight_ih": initialization.dense(self.init, hidden, inputs, hidden, random),
            "weight_hh": initialization.recurrent(self.init, 1, hidden, random),
            "weight_zh": initialization.recurrent(self.init, 1, hidden, random),
            "bias": initialization.bias(self.init, hidden, hidden, random),
            **fixed,
        }

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, z = state
        dt, gamma, epsilon = (weights[name].unsqueeze(-2) for name in ("dt", "gamma", "epsilon"))
        driven = linear(input, weights["weight_ih"], weights["bias"])
        force = torch.tanh(driven + h @ weights["weight_hh"].mT + z @ weights["weight_zh"].mT)
        z = z + dt * (force - gamma * h - epsilon * z)
        return h + dt * z, z
