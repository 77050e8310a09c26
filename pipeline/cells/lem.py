"""Long expressive memory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization
from pipeline.cells.cell import TIED, Cell, Group, State, Weights, in_steps, linear


@dataclass(frozen=True)
class LEM(Cell):
    """Long expressive memory (Rusch, Mishra, Erichson, Mahoney 2021, arXiv:2110.04744), whose y is h.

    a  = dt sigmoid(A x + E h + b)             step of h, in its own time
    d  = dt sigmoid(D x + F h + e)             step of z
    z' = (1 - d) z + d tanh(V x + Q h + c)
    h' = (1 - a) h + a tanh(W x + P z' + g)    the new z

    A, D, V, W are the rows of weight_ih in the order a, d, z, h; E, F, Q those of weight_hh; P is weight_zh. Each bias
    is a sum of two, as in the authors' code (tk-rusch/LEM). Published: all of them U(-1/sqrt(hidden), 1/sqrt(hidden)),
    as in torch.nn; readout N(0, 2 / hidden). dt is a weight that is not trained. The authors choose it anew for each
    task; tied is a rule of this project: 2/T, with which sigmoid(0) dt keeps a unit for T steps in the beginning.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "z")
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh", "weight_zh")
    kind = "state-gated"
    inits = ("published", *initialization.KINDS)

    dt: float | str = 1.0  # largest step of time; the authors' scripts: 1 by default, 0.0242 for adding; or tied

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = self.dt == TIED or (isinstance(self.dt, int | float) and 0 < self.dt <= 1)
        require(sound, "cell.dt", f"must be above 0 and at most 1, or {TIED} to the length of each training", self.dt)

    @property
    def groups(self) -> Mapping[str, Group]:
        return {"dt": Group(rate=0.0, decay=False)}

    def for_length(self, length: int) -> Cell:
        return replace(self, **self.memory(length)) if self.dt == TIED else self

    def memory(self, length: int) -> Mapping[str, Any]:
        return {"dt": min(2 / length, 1.0)}  # of sigmoid(0) dt, half a step, a unit keeps the rest

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        init, hidden = "torch" if self.init == "published" else self.init, self.hidden
        return {
            "weight_ih": initialization.dense(init, 4 * hidden, inputs, hidden, random),
            "weight_hh": initialization.recurrent(init, 3, hidden, random),
            "weight_zh": initialization.recurrent(init, 1, hidden, random),
            "bias_ih": initialization.bias(init, 4 * hidden, hidden, random),
            "bias_hh": initialization.bias(init, 3 * hidden, hidden, random),
            "bias_zh": initialization.bias(init, hidden, hidden, random),
            "dt": torch.full((hidden,), in_steps(self.dt)),
        }

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        weight, bias = super().readout(outputs, random)
        if self.init == "published":
            weight = initialization.gaussian((outputs, self.hidden), math.sqrt(2 / self.hidden), random)
        return weight, bias

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        h, z = state
        from_input = linear(input, weights["weight_ih"], weights["bias_ih"]).chunk(4, dim=-1)
        from_state = linear(h, weights["weight_hh"], weights["bias_hh"]).chunk(3, dim=-1)
        dt = weights["dt"].unsqueeze(-2)
        a = dt * torch.sigmoid(from_input[0] + from_state[0])
        d = dt * torch.sigmoid(from_input[1] + from_state[1])
        z = (1 - d) * z + d * torch.tanh(from_input[2] + from_state[2])
        h = (1 - a) * h + a * torch.tanh(from_input[3] + linear(z, weights["weight_zh"], weights["bias_zh"]))
        return h, z
