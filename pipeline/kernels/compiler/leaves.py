"""From the weights of a cell to the matrices and rows that its step reads, for all replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.kernels.compiler.ir import Leaf
from pipeline.kernels.compiler.trace import Step

Matrix = Float[Tensor, "replica _ _"]


class View(NamedTuple):
    """A leaf that lies in a weight."""

    name: str
    offset: int
    strides: tuple[int, int]


@dataclass(frozen=True)
class Leaves:
    """How the leaves of a step are had from weights; those that are no views are computed, once a pass."""

    step: Step
    shapes: Sequence[tuple[int, int]]
    views: Sequence[View | None]

    @classmethod
    def of(cls, step: Step, shapes: Sequence[tuple[int, int]]) -> "Leaves":
        """Return those of a traced step, with [rows, columns] of each."""
        names = {weight[0]: name for weight, name in zip(step.prelude.weights, step.prelude.names, strict=True)}
        views = []
        for leaf, (rows, _) in zip(step.prelude.leaves, shapes, strict=True):
            name = names.get(leaf.untyped_storage()._cdata)
            column = leaf.stride(-1) if leaf.dim() else 1
            row = leaf.stride(0) if rows > 1 else 0
            views.append(None if name is None else View(name, int(leaf.storage_offset()), (row, column)))
        return cls(step, shapes, views)

    @property
    def direct(self) -> bool:
        """True if every leaf lies in a weight."""
        return None not in self.views

    def matrices(self, weights: Mapping[str, Float[Tensor, "replica ..."]]) -> list[Matrix]:
        """Return the leaves of weights whose replicas are contiguous each; differentiable as they are."""
        computed = None if self.direct else self._computed(weights)
        found = []
        for index, ((rows, columns), view) in enumerate(zip(self.shapes, self.views, strict=True)):
            if view is None:
                assert computed is not None
                found.append(computed[index])
            else:
                weight = weights[view.name]
                strides = (weight.stride(0), *view.strides)
                size = (len(weight), rows, columns)
                found.append(torch.as_strided(weight, size, strides, weight.storage_offset() + view.offset))
        return found

    def _computed(self, weights: Mapping[str, Tensor]) -> list[Matrix]:
        """Return all leaves by the cell's own calls, a replica at a time: none depends on how many there are."""
        replicas = zip(*(weights[name].unbind() for name in self.step.prelude.names), strict=True)
        found = [self.step.prelude.run(list(replica)) for replica in replicas]
        return [
            torch.stack([leaf.reshape(shape) for leaf in leaves])
            for shape, leaves in zip(self.shapes, zip(*found, strict=True), strict=True)
        ]

    def uncovered(self, sizes: Mapping[str, int], wanted: Sequence[Leaf]) -> list[str]:
        """Return the weights of which some numbers lie in no wanted leaf: their gradient is zero there."""
        covered = {name: torch.zeros(size, dtype=torch.bool) for name, size in sizes.items()}
        for leaf in wanted:
            view, (_, columns) = self.views[leaf.index], self.shapes[leaf.index]
            assert view is not None
            offset = view.offset + leaf.first * view.strides[0]
            torch.as_strided(covered[view.name], (leaf.rows, columns), view.strides, offset).fill_(True)
        return [name for name, mask in covered.items() if not mask.all()]
