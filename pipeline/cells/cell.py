"""What every recurrent cell declares. To add one, write a class like those beside this file and a YAML in conf/cell."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells import initialization

Weights = Mapping[str, Float[Tensor, "..."]]
State = tuple[Float[Tensor, "*replica batch hidden"], ...]


@dataclass(frozen=True)
class Cell(ABC):
    """One recurrent cell. It holds settings only; weights and state come in, and the next state goes out.

    Every tensor may carry leading replica axes: `weight @ state` then runs all replicas at once, each with its own
    weights. A cell written with `linear` and elementwise functions needs nothing else to be trained in parallel.
    """

    states: ClassVar[tuple[str, ...]] = ("h",)  # names of the state's parts; the first is what the readout sees

    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh",)  # weights that read the state: blocks of hidden x hidden

    hidden: int  # units
    init: str  # how the weights begin, one of initialization.KINDS

    def __post_init__(self) -> None:
        require(self.hidden >= 1, "cell.hidden", "must be at least 1", self.hidden)
        require(
            self.init in initialization.KINDS,
            "cell.init",
            f"must be one of {', '.join(initialization.KINDS)}",
            self.init,
        )

    @abstractmethod
    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        """Fresh weights of one replica that reads `inputs` channels."""

    @abstractmethod
    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        """The state one step later. Pure: nothing is kept, nothing is changed."""


def require_chrono(longest: int | None, name: str, bias: float) -> None:
    """Raise `UserError` where `cell.chrono` is out of its range, or another setting wants the same bias."""
    rule = "is the longest time to keep a unit, in steps, at least 3; or null"
    require(longest is None or longest >= 3, "cell.chrono", rule, longest)
    require(longest is None or bias == 0, f"cell.{name}", "must be 0 where cell.chrono sets this bias", bias)


def linear(
    input: Float[Tensor, "*replica batch input"],
    weight: Float[Tensor, "*replica output input"],
    bias: Float[Tensor, "*replica output"],
) -> Float[Tensor, "*replica batch output"]:
    """W x + b for every sequence of the batch, and for every replica where there are several."""
    return input @ weight.mT + bias.unsqueeze(-2)
