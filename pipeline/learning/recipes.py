"""Replicas of one batch that are trained in different ways: each has its own optimizer, learning rate and clip.

Settings are tried side by side at the cost of seeds. What a replica does follows from its own recipe alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.learning.optimizer import MakeOptimizer, clip, narrowed

RATE = 0.5  # learning rate at which an optimizer is compared with itself at 1


@dataclass(frozen=True)
class Recipe:
    """The training of one replica."""

    name: str  # of the optimizer: replicas with the same name share it
    make: MakeOptimizer  # at a learning rate of 1
    rate: float  # learning rate
    clip: float  # largest gradient norm let through


class PerReplica(torch.optim.Optimizer):
    """Steps each row as its recipe's own optimizer would, to within rounding.

    w' = w - rate u(clipped gradients so far)

    u is the step at learning rate 1. The optimizer never sees w: it steps a probe tensor of zeros, which then holds -u
    without cancellation. So u may depend on gradients alone, not on weights (no weight decay), see
    `require_proportional`.
    """

    def __init__(self, rows: Float[Tensor, "replica weight"], recipes: Sequence[Recipe]) -> None:
        super().__init__([rows], {})
        self.rows, self.recipes = rows, list(recipes)
        self.multiples: Float[Tensor, "_ weight"] | None = None  # of the rates, one row a replica, or one for all
        self.rates = _column([recipe.rate for recipe in recipes], rows)
        self.clips = torch.tensor([recipe.clip for recipe in recipes], dtype=torch.float64, device=rows.device)
        self.parts = [
            _Part.begin(
                rows, [position for position, recipe in enumerate(recipes) if recipe.name == name], name, recipes
            )
            for name in sorted({recipe.name for recipe in recipes})
        ]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Clip the gradient of each row, and step it."""
        assert self.rows.grad is not None
        clip(self.rows.grad, self.clips)
        for part in self.parts:
            part.probe.zero_()
            part.probe.grad = self.rows.grad[part.positions]
            part.optimizer.step()
            move = part.probe if self.multiples is None else part.probe * self._rows(self.multiples)[part.positions]
            self.rows[part.positions] += self.rates[part.positions] * move

    def narrowed(self, kept: Int64[Tensor, " kept"]) -> "tuple[PerReplica, Tensor]":
        """Return this optimizer and its rows for the replicas that are `kept`, with the state that they had."""
        fewer = self.rows.detach()[kept].requires_grad_()
        fresh = PerReplica(fewer, [self.recipes[position] for position in kept.tolist()])
        fresh.multiples = None if self.multiples is None else self._rows(self.multiples)[kept]
        parts = {part.name: part for part in self.parts}
        for part in fresh.parts:
            old = parts[part.name]
            place = {position: index for index, position in enumerate(old.positions.tolist())}
            mine = torch.tensor([place[int(kept[position])] for position in part.positions], device=fewer.device)
            part.optimizer, part.probe = narrowed(part.make, old.optimizer, old.probe, mine)
        return fresh, fewer

    def _rows(self, multiples: Float[Tensor, "_ weight"]) -> Float[Tensor, "replica weight"]:
        return multiples.expand(len(self.rows), -1)


@dataclass
class _Part:
    """The replicas that share an optimizer."""

    name: str
    make: MakeOptimizer
    positions: Int64[Tensor, " part"]  # among the rows
    probe: Float[Tensor, "part weight"]  # what the optimizer steps: zeros before, -u after
    optimizer: torch.optim.Optimizer

    @classmethod
    def begin(cls, rows: Tensor, positions: list[int], name: str, recipes: Sequence[Recipe]) -> "_Part":
        probe = torch.zeros_like(rows[positions]).requires_grad_()
        make = recipes[positions[0]].make
        return cls(name, make, torch.tensor(positions, device=rows.device), probe, make([probe]))


def require_proportional(name: str, make: MakeOptimizer, other: MakeOptimizer) -> None:
    """Raise `UserError` unless a step is proportional to the learning rate and independent of the weights.

    `make` has a learning rate of 1, `other` one of `RATE`.
    """
    at_zero, away, slower = _moved(make, 0.0), _moved(make, 3.0), _moved(other, 0.0)
    same = torch.allclose(at_zero, away, atol=1e-5) and torch.allclose(RATE * at_zero, slower, atol=1e-6)
    if not same:
        raise UserError(
            f"tune.space.optimizer.name: the steps of {name} must be proportional to its learning rate, "
            "and independent of the weights (no weight decay)"
        )


def _moved(make: MakeOptimizer, begin: float) -> Tensor:
    """Return how far three steps lead from a weight."""
    row = torch.full((1, 3), begin, dtype=torch.float64, requires_grad=True)
    optimizer = make([row])
    for scale in (1.0, -0.4, 0.2):
        row.grad = scale * torch.tensor([[1.0, 2.0, -3.0]], dtype=torch.float64)
        optimizer.step()
    return row.detach() - begin


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)
