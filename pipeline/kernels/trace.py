"""What a pass leaves of every sequence at every step, for those who need more than norms."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_idle: dict[tuple[torch.dtype, torch.device], Tensor] = {}

PerStep = Float[Tensor, "replica time batch hidden"]


@dataclass(frozen=True)
class Trace:
    """Filled by the backward pass, for the first part of the state; see kernels.unroll."""

    states: PerStep  # h_t, after step t = 1 … T
    errors: PerStep  # dL/dh_t in full, at its true scale: what is too small for the type is zero
    memory: Tensor | None = None  # that both lie in

    @classmethod
    def of(cls, like: Tensor, replicas: int, time: int, batch: int, hidden: int) -> "Trace":
        """Memory for it, of the type and on the device of `like`."""
        size, shape = replicas * time * batch * hidden, (replicas, time, batch, hidden)
        memory = _idle.pop((like.dtype, like.device), None)
        if memory is None or memory.numel() < 2 * size:
            memory = like.new_empty(2 * size)
        return cls(memory[:size].view(shape), memory[size : 2 * size].view(shape), memory)

    def give_back(self) -> None:
        """Let the next one use the memory again: fresh pages would cost as much as what is made of them."""
        if self.memory is not None:
            _idle[self.memory.dtype, self.memory.device] = self.memory

    def check(self, like: Tensor, shape: tuple[int, ...]) -> None:
        """Raise ValueError where it does not fit the pass."""
        wanted = (torch.Size(shape), like.dtype, like.device)
        for name, part in (("states", self.states), ("errors", self.errors)):
            if (part.shape, part.dtype, part.device) != wanted or not part.is_contiguous():
                raise ValueError(f"trace.{name} is contiguous, {like.dtype} {list(wanted[0])} on {like.device}")
