"""The gradients of the leaves, summed over the sequences and over chunks of steps."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.kernels.compiler.ir import Graph, Outer
from pipeline.kernels.scaling import RunningGradient, times_power_of_two_

CHUNK = 8  # steps whose gradients of the weights are summed by one matrix product

Matrix = Float[Tensor, "replica _ _"]
Values = Mapping[int, Tensor]  # by node


class SummedGradients:
    """The gradients of the leaves, summed over the steps in chunks."""

    def __init__(self, graph: Graph, leaves: Sequence[Matrix]):
        self.graph, self.sums = (
            graph,
            [torch.zeros_like(leaf, memory_format=torch.contiguous_format) for leaf in leaves],
        )
        self.waiting: list[Mapping[int, Tensor]] = []
        gradients = {id(each.gradient): each.gradient for of_leaf in graph.of_leaves for each in of_leaf}
        self.gradients = list(gradients.values())
        rows = [each.x for of_leaf in graph.of_leaves for each in of_leaf if isinstance(each, Outer)]
        self.rows = [node for node in {id(node): node for node in rows}.values() if id(node) not in gradients]

    def add(self, values: Values, running: RunningGradient) -> None:
        """Take note of a step."""
        shape = running.parts[0].shape[:2]
        found = {id(node): values[id(node)].expand(*shape, node.width) for node in self.rows}
        for node in self.gradients:
            gradient = values[id(node)].expand(*shape, node.width)
            if running.scaled:
                gradient = times_power_of_two_(gradient.clone(), running.exponent)
            found[id(node)] = gradient
        self.waiting.append(found)
        if len(self.waiting) == CHUNK:
            self._sum()

    def _sum(self) -> None:
        rows = {name: torch.cat([found[name] for found in self.waiting], dim=1) for name in self.waiting[0]}
        for total, contributions in zip(self.sums, self.graph.of_leaves, strict=True):
            for each in contributions:
                gradient = rows[id(each.gradient)]
                if isinstance(each, Outer):
                    total[:, each.first : each.first + each.x.width].baddbmm_(rows[id(each.x)].mT, gradient)
                elif each.single:
                    total += gradient.sum((1, 2), keepdim=True)
                else:
                    total += gradient.sum(1, keepdim=True)
        self.waiting = []

    def finished(self) -> list[Tensor]:
        """Return the sums over all steps."""
        if self.waiting:
            self._sum()
        return self.sums
