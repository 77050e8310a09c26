"""Small cells of every kind that the compiler serves, and some that it must refuse; equations as in their papers."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.cells.cell import Cell, State, Weights, linear


@dataclass(frozen=True)
class Small(Cell):
    """A cell whose weights are drawn from shapes in units of hidden and inputs: {"U": "HH"}."""

    shapes: ClassVar[dict[str, str]]
    scale: ClassVar[float] = 0.5

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Tensor]:
        sizes = {
            "H": self.hidden,
            "I": inputs,
            "1": 1,
            "2": 2 * self.hidden,
            "3": 3 * self.hidden,
            "4": 4 * self.hidden,
        }
        sizes["A"] = self.hidden + inputs
        return {
            name: torch.randn([sizes[axis] for axis in shape], generator=random)
            * self.scale
            * sizes[shape[-1:] or "1"] ** -0.5
            for name, shape in self.shapes.items()
        }


@dataclass(frozen=True)
class IRNN(Small):
    """h' = relu(W x + U h + b) (Le et al. 2015)."""

    shapes: ClassVar = {"W": "HI", "U": "HH", "b": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        return (torch.relu(input @ weights["W"].mT + linear(h, weights["U"], weights["b"])),)


@dataclass(frozen=True)
class IndRNN(Small):
    """h' = relu(W x + u h + b), u a number for each unit (Li et al. 2018)."""

    shapes: ClassVar = {"W": "HI", "u": "H", "b": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        return (torch.relu(linear(input, weights["W"], weights["b"]) + weights["u"].unsqueeze(-2) * h),)


@dataclass(frozen=True)
class CoRNN(Small):
    """Coupled oscillators: z' = z + dt (tanh(W y + V z + U x + b) - gamma y - epsilon z); y' = y + dt z'."""

    states = ("y", "z")
    shapes: ClassVar = {"W": "HH", "V": "HH", "U": "HI", "b": "H"}
    step: float = 0.1

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        y, z = state
        force = torch.tanh(linear(y, weights["W"], weights["b"]) + z @ weights["V"].mT + input @ weights["U"].mT)
        z = z + self.step * (force - 1.5 * y - 0.7 * z)
        return y + self.step * z, z


@dataclass(frozen=True)
class LEM(Small):
    """Long expressive memory (Rusch et al. 2022): two products a step, the second of what the first one made."""

    states = ("y", "z")
    shapes: ClassVar = {"W": "3I", "V": "3H", "b": "3", "Vy": "HH", "Wy": "HI", "by": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        y, z = state
        one, two, three = (linear(input, weights["W"], weights["b"]) + y @ weights["V"].mT).chunk(3, dim=-1)
        fast, slow = torch.sigmoid(one), torch.sigmoid(two)
        z = (1 - fast) * z + fast * torch.tanh(three)
        proposal = torch.tanh(linear(z, weights["Vy"], weights["by"]) + input @ weights["Wy"].mT)
        return (1 - slow) * y + slow * proposal, z


@dataclass(frozen=True)
class ResetFirst(Small):
    """The GRU of its paper, with the reset before the product: h~ = tanh(W x + U (r h))."""

    shapes: ClassVar = {"W": "3I", "U": "2H", "b": "3", "Un": "HH"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        of_r, of_z, of_n = linear(input, weights["W"], weights["b"]).chunk(3, dim=-1)
        r, z = torch.sigmoid(torch.cat([of_r, of_z], -1) + h @ weights["U"].mT).chunk(2, dim=-1)
        n = torch.tanh(of_n + (r * h) @ weights["Un"].mT)
        return (torch.lerp(n, h, z),)


@dataclass(frozen=True)
class MinGRU(Small):
    """Gates see the input alone (Feng et al. 2024): h' = (1 - z) h + z g(V x), g(a) = a + 1/2 or sigmoid(a)."""

    shapes: ClassVar = {"W": "HI", "V": "HI", "b": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        z = torch.sigmoid(linear(input, weights["W"], weights["b"]))
        v = input @ weights["V"].mT
        return ((1 - z) * h + z * torch.where(v >= 0, v + 0.5, torch.sigmoid(v)),)


@dataclass(frozen=True)
class Normed(Small):
    """A tanh RNN whose sum is normalised over the units, with a gain and a shift."""

    shapes: ClassVar = {"W": "HI", "U": "HH", "gain": "H", "shift": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        a = input @ weights["W"].mT + h @ weights["U"].mT
        centred = a - a.mean(-1, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-3)
        return (torch.tanh(centred * scale * weights["gain"].unsqueeze(-2) + weights["shift"].unsqueeze(-2)),)


@dataclass(frozen=True)
class SLSTM(Small):
    """An LSTM with exponential gates and a running maximum (Beck et al. 2024): parts h, c, n, m."""

    states = ("h", "c", "n", "m")
    shapes: ClassVar = {"W": "4I", "U": "4H", "b": "4"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c, n, m = state
        i, f, z, o = (linear(input, weights["W"], weights["b"]) + h @ weights["U"].mT).chunk(4, dim=-1)
        kept = functional.logsigmoid(f) + m
        largest = torch.maximum(kept, i)
        i, f = torch.exp(i - largest), torch.exp(kept - largest)
        c, n = f * c + i * torch.tanh(z), f * n + i
        return torch.sigmoid(o) * c / (n + 1e-3), c, n, largest


@dataclass(frozen=True)
class Antisymmetric(Small):
    """h' = h + e tanh((V - V' - g I) h + W x + b) (Chang et al. 2019): the matrix is made of weights."""

    shapes: ClassVar = {"V": "HH", "W": "HI", "b": "H", "step": ""}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        v = weights["V"]
        matrix = v - v.mT - 0.1 * torch.eye(self.hidden, dtype=v.dtype)
        step = torch.exp(weights["step"])[..., None, None]
        return (h + step * torch.tanh(h @ matrix.mT + linear(input, weights["W"], weights["b"])),)


@dataclass(frozen=True)
class Joined(Small):
    """One product of input and state side by side, softplus, and a clamp."""

    shapes: ClassVar = {"A": "2A", "b": "2"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        a, g = linear(torch.cat([input, h], -1), weights["A"], weights["b"]).chunk(2, dim=-1)
        return (torch.sigmoid(g) * h + torch.clamp(functional.softplus(a) - 0.5, -1.0, 1.0),)


@dataclass(frozen=True)
class Scalar(Small):
    """A gate of one number for all units, and weights that are one number."""

    shapes: ClassVar = {"W": "HI", "U": "HH", "b": "H", "v": "1H", "mix": "1"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        gate = torch.sigmoid(h @ weights["v"].mT)
        new = torch.tanh(input @ weights["W"].mT + linear(h, weights["U"], weights["b"]))
        mix = weights["mix"].unsqueeze(-1)
        return (gate * h + (1 - gate) * new * mix,)


@dataclass(frozen=True)
class Stacked(Small):
    """Two layers: the second reads the new state of the first; the readout sees the second."""

    states = ("h", "below")
    shapes: ClassVar = {"W": "HI", "U": "HH", "V": "HH", "Q": "HH", "b": "H"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, below = state
        below = torch.tanh(input @ weights["W"].mT + linear(below, weights["U"], weights["b"]))
        return torch.tanh(below @ weights["V"].mT + h @ weights["Q"].mT), below


@dataclass(frozen=True)
class Sorted(Small):
    """Cannot be lowered."""

    shapes: ClassVar = {"W": "HI", "U": "HH"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        return (torch.tanh(input @ weights["W"].mT + h.sort(-1).values @ weights["U"].mT),)


@dataclass(frozen=True)
class Branching(Small):
    """Looks at a number."""

    shapes: ClassVar = {"W": "HI", "U": "HH"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        if float(h.detach().sum()) > 1e9:
            return (h,)
        return (torch.tanh(input @ weights["W"].mT + h @ weights["U"].mT),)


@dataclass(frozen=True)
class InPlace(Small):
    """Changes a tensor in place."""

    shapes: ClassVar = {"W": "HI", "U": "HH"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        a = input @ weights["W"].mT
        a += h @ weights["U"].mT
        return (torch.tanh(a),)


@dataclass(frozen=True)
class Gamma(Small):
    """Can be replayed, and not written as C++: lgamma is nobody's activation."""

    shapes: ClassVar = {"W": "HI", "U": "HH"}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        (h,) = state
        return (torch.tanh(torch.lgamma(2.5 + torch.sigmoid(input @ weights["W"].mT + h @ weights["U"].mT))),)


COMPILED = (
    IRNN,
    IndRNN,
    CoRNN,
    LEM,
    ResetFirst,
    MinGRU,
    Normed,
    SLSTM,
    Antisymmetric,
    Joined,
    Scalar,
    Stacked,
)
REFUSED = {Sorted: "aten.sort", Branching: "looks at a number", InPlace: "aten.add_.Tensor"}
