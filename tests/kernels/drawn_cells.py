"""Cells drawn at random: expressions of weights, input and state, with up to three products and three parts."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from pipeline.cells.cell import Cell, State, Weights

Expression = Callable[[Weights, State, Tensor], Tensor]

ONE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "sin": torch.sin,
    "cos": torch.cos,
    "exp": lambda x: torch.exp(-x.abs()),
    "log1p": lambda x: torch.log1p(x * x),
    "sqrt": lambda x: torch.sqrt(1 + x * x),
    "rsqrt": lambda x: torch.rsqrt(1 + x * x),
    "square": lambda x: torch.tanh(x).square(),
    "softplus": torch.nn.functional.softplus,
    "logsigmoid": torch.nn.functional.logsigmoid,
    "clamp": lambda x: torch.clamp(x, -0.7, 0.9),
    "neg": torch.neg,
    "mean": lambda x: x - x.mean(-1, keepdim=True),
    "softmax": lambda x: torch.softmax(x, dim=-1),
    "chunks": lambda x: torch.cat(torch.cat([x, -x], -1).chunk(2, dim=-1)[::-1], -1)[..., : x.shape[-1]],
    "scaled": lambda x: 0.7 * x - 0.1,
}
TWO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": lambda x, y: x / (1.5 + y * y),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": lambda x, y: torch.where(x > y, x, 2 * y),
    "gate": lambda x, y: torch.lerp(x, y, torch.sigmoid(y)),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
}


@dataclass(frozen=True)
class Drawn(Cell):
    """The cell of one seed."""

    seed: int = 0
    parts: int = 1
    products: int = 1

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"part{i}" for i in range(self.parts))

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Tensor]:
        size = self.hidden
        found = {f"U{i}": torch.randn(size, size, generator=random) * 0.6 * size**-0.5 for i in range(self.products)}
        found |= {f"W{i}": torch.randn(size, inputs, generator=random) * 0.5 for i in range(self.products)}
        return found | {f"v{i}": torch.randn(size, generator=random) * 0.5 for i in range(3)}

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        random = Random(self.seed)
        known = [*state]
        for i in range(self.products):  # each may read what the ones before made
            row = self._expression(random, 1, known, weights)
            sums = row @ weights[f"U{i}"].mT + input @ weights[f"W{i}"].mT
            known.append(sums + weights["v0"].unsqueeze(-2) if random.random() < 0.6 else sums)
        after = [torch.tanh(self._expression(random, random.randint(1, 4), known, weights)) for _ in state]
        return tuple(0.5 * part + new * 0.8 for part, new in zip(state, after, strict=True))

    def _expression(self, random: Random, depth: int, known: list[Tensor], weights: Weights) -> Tensor:
        if depth == 0:
            pick: Any = random.choice([*known, known[-1], known[-1], "vector"])
            return weights[f"v{random.randint(1, 2)}"].unsqueeze(-2) * known[0] if isinstance(pick, str) else pick
        if random.random() < 0.5:
            return ONE[random.choice(sorted(ONE))](self._expression(random, depth - 1, known, weights))
        left, right = (self._expression(random, depth - 1, known, weights) for _ in range(2))
        return TWO[random.choice(sorted(TWO))](left, right)
