"""Groups of weights that are trained otherwise than the rest: see `Cell.groups`."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import prod
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline.cells.cell import Cell, Group
from pipeline.learning.optimizer import MakeOptimizer, kept_rows
from pipeline.learning.recipes import PerReplica

Columns = Sequence[tuple[slice, Group]]  # of the rows, side by side


def columns(shapes: Mapping[str, tuple[int, ...]], groups: Mapping[str, Group]) -> Columns:
    """Return the columns of each group, from the shapes of the weights in the order of a row."""
    found, begin = [], 0
    for group, names in groupby(shapes, key=lambda name: groups.get(name, Group())):
        width = sum(prod(shapes[name]) for name in names)
        found.append((slice(begin, begin + width), group))
        begin += width
    return found


def grouped(make: MakeOptimizer, shapes: Mapping[str, tuple[int, ...]], cells: Sequence[Cell]) -> MakeOptimizer:
    """Return what makes an optimizer of rows by the groups of their cells: one cell for all rows, or one each."""
    if not any(cell.groups for cell in cells):
        return make
    each = [columns(shapes, cell.groups) for cell in cells]

    def made(parameters: list[Any]) -> torch.optim.Optimizer:
        (rows,) = parameters
        optimizer = make([rows])
        if not isinstance(optimizer, PerReplica):
            return Grouped(rows, make, each[0])
        optimizer.multiples = torch.stack([_multiples(found, rows) for found in each])
        return optimizer

    return made


def _multiples(found: Columns, rows: Tensor) -> Float[Tensor, " weight"]:
    """Return the multiple of the learning rate of each column."""
    return torch.cat([rows.new_full((place.stop - place.start,), group.rate) for place, group in found])


class Grouped(torch.optim.Optimizer):
    """One optimizer, with the columns of each group as a parameter of its own; those at rate 0 are left alone."""

    def __init__(self, rows: Float[Tensor, "replica weight"], make: MakeOptimizer, columns: Columns) -> None:
        super().__init__([rows], {})
        self.rows, self.make, self.columns = rows, make, [each for each in columns if each[1].rate > 0]
        self.parts = [rows.detach()[:, place].requires_grad_() for place, _ in self.columns]
        self.optimizer = make([{"params": [part]} for part in self.parts])
        for settings, (_, group) in zip(self.optimizer.param_groups, self.columns, strict=True):
            settings["lr"] *= group.rate
            if not group.decay and "weight_decay" in settings:
                settings["weight_decay"] = 0.0

    def step(self, closure: Any = None) -> Any:
        """Step each group by its part of the gradient."""
        assert self.rows.grad is not None
        for part, (place, _) in zip(self.parts, self.columns, strict=True):
            part.grad = self.rows.grad[:, place]
        self.optimizer.step()

    def narrowed(self, kept: Int64[Tensor, " kept"]) -> "tuple[Grouped, Tensor]":
        """Return this optimizer and its rows for the replicas that are `kept`, with the state that they had."""
        fewer = self.rows.detach()[kept].requires_grad_()
        fresh = Grouped(fewer, self.make, self.columns)
        for old, new in zip(self.parts, fresh.parts, strict=True):
            for name, value in self.optimizer.state[old].items():
                fresh.optimizer.state[new][name] = kept_rows(name, value, old, kept)
        return fresh, fewer
