"""What every recurrent cell declares. To add one, write a class like those beside this file and a YAML in conf/cell."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import UserError, require
from pipeline.cells import initialization

Weights = Mapping[str, Float[Tensor, "..."]]
State = tuple[Float[Tensor, "*replica batch _"], ...]


TIED = "tied"  # in the place of a length: that of each training

KINDS = {  # what a layer is, which bounds what it can represent
    "ungated": "the next state is a nonlinear function of all units and the input",
    "independent": "as ungated, but each unit sees itself and the input alone",
    "state-gated": "gates that see the state decide what is kept",
    "input-gated": "gates that see the input alone decide what is kept",
    "oscillator": "units are driven, damped oscillators",
    "linear": "the next state is a linear, time-invariant function of state and input",
}


class Group(NamedTuple):
    """How some weights are trained, where that differs from the others."""

    rate: float = 1.0  # multiple of the learning rate; 0: the weights stay as they begin
    decay: bool = True  # whether the optimizer's weight decay, if it has one, is theirs too


@dataclass(frozen=True)
class Cell(ABC):
    """One recurrent cell. It holds settings only; weights and state come in, and the next state goes out.

    Every tensor may carry leading replica axes: `weight @ state` then runs all replicas at once, each with its own
    weights. A cell written with `linear` and elementwise functions needs nothing else to be trained in parallel.

    Most cells declare `weights` and `forward` alone. The other methods do nothing by default; they are for cells with
    constants tied to the length, constrained weights, or parts of the state of different widths:

        cell    = cell.for_length(length)            once a training
        weights = cell.weights(inputs, random)       once a replica
        ready   = cell.materialise(weights)          once a pass, differentiated by torch
        state   = cell.start(ready, batch)           once a pass: `initial`, or zeros
        state   = cell.forward(ready, state, input)  each step
        weights = cell.project(weights)              after each update
    """

    states: ClassVar[tuple[str, ...]] = ("h",)  # names of the state's parts; the first is what the readout sees

    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh",)  # weights that read the state: blocks of hidden x hidden

    kind: ClassVar[str] = ""  # what a layer is, one of KINDS; empty: not said

    inits: ClassVar[tuple[str, ...]] = initialization.KINDS  # which the cell knows; "published": as its authors have it

    hidden: int  # units
    init: str  # how the weights begin, one of `inits`

    def __post_init__(self) -> None:
        require(self.hidden >= 1, "cell.hidden", "must be at least 1", self.hidden)
        require(self.init in self.inits, "cell.init", f"must be one of {', '.join(self.inits)}", self.init)

    @abstractmethod
    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        """Return fresh weights of one replica that reads `inputs` channels."""

    @abstractmethod
    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        """Return the state one step later. Pure: nothing is kept, nothing is changed."""

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each part of the state."""
        return (self.hidden,) * len(self.states)

    @property
    def groups(self) -> Mapping[str, Group]:
        """How weights are trained, by name; those that are not named, as the optimizer says."""
        return {}

    @property
    def tied(self) -> tuple[str, ...]:
        """Settings that follow the length of each training: they say "tied" in the place of a number."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) == TIED)

    def for_length(self, length: int) -> "Cell":
        """Return this cell for sequences of at most `length` steps: settings that are tied to the length hold it."""
        tied: Any = dict.fromkeys(self.tied, max(length, 3))  # fewer steps leave no time scales to choose from
        return replace(self, **tied) if tied else self

    def memory(self, length: int) -> Mapping[str, Any]:
        """Return settings with which its state begins to last some `length` steps; empty: it has no such setting."""
        return {}

    def materialise(self, weights: Weights) -> Weights:
        """Return what `forward` reads, from what is trained: an orthogonal matrix from a skew-symmetric one, say.

        Called once a pass. Every tensor keeps the replica axes; recurrent weights have their names from here.
        """
        return weights

    def initial(self, weights: Weights) -> State | None:
        """Return the state before the first step, from materialised weights; None: zeros.

        A part is [*replica, batch, width], or [*replica, 1, width] where all sequences begin alike.
        """
        return None

    def project(self, weights: Weights) -> Weights:
        """Return the allowed weights that are nearest to those after an update; a clamp, for example."""
        return weights

    def readout(
        self, outputs: int, random: torch.Generator
    ) -> tuple[Float[Tensor, "{outputs} width"], Float[Tensor, " {outputs}"]]:
        """Return fresh weights and biases of the affine map that reads the first part of the state."""
        kind, width = self.init if self.init in initialization.KINDS else "torch", self.widths[0]
        weight = initialization.dense(kind, outputs, width, width, random)
        return weight, initialization.bias(kind, outputs, width, random)

    def start(self, weights: Mapping[str, Float[Tensor, "replica ..."]], batch: int) -> State:
        """Return the state of `batch` sequences before the first step, from materialised weights."""
        given, like = self.initial(weights), next(iter(weights.values()))
        shapes = [(like.shape[0], batch, width) for width in self.widths]
        if given is None:
            return tuple(like.new_zeros(shape) for shape in shapes)
        return tuple(part.expand(shape) for part, shape in zip(given, shapes, strict=True))


def require_chrono(longest: int | float | str | None) -> None:
    """Raise `UserError` where `cell.chrono` is out of its range."""
    rule = "is the longest time to keep a unit, in steps, at least 3; tied: that of each training; or null"
    require(
        longest in (None, TIED) or (isinstance(longest, int | float) and longest >= 3), "cell.chrono", rule, longest
    )


def require_length(length: int | float | str, name: str) -> None:
    """Raise `UserError` unless a setting is a number of steps, or tied to the length of each training."""
    sound = length == TIED or (isinstance(length, int | float) and length >= 1)
    require(sound, name, f"is a number of steps, at least 1, or {TIED} to the length of each training", length)


def in_steps(length: int | float | str) -> int | float:
    """Return the number of a setting that `for_length` has filled in; raises `UserError` where it has not."""
    if not isinstance(length, int | float):
        raise UserError(f"a setting of the cell is {length} to the length of a training: call cell.for_length first")
    return length


def linear(
    input: Float[Tensor, "*replica batch input"],
    weight: Float[Tensor, "*replica output input"],
    bias: Float[Tensor, "*replica output"],
) -> Float[Tensor, "*replica batch output"]:
    """Return W x + b for every sequence of the batch, and for every replica where there are several."""
    return input @ weight.mT + bias.unsqueeze(-2)
