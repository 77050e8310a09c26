"""Memory that is used again: fresh gigabytes for every update would cost more in page faults than in arithmetic."""

import ctypes
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

_idle: dict[tuple[str, torch.dtype, torch.device], "Workspace"] = {}

PerStep = Float[Tensor, "replica time batch hidden"]


class Workspace:
    """One block of memory, lent to one forward pass at a time and given back by its backward pass.

    What the forward pass wrote stays readable after that, until the block is lent again: `owner` tells.
    """

    def __init__(self, memory: Tensor, purpose: str = "pass"):
        self.memory, self.purpose = memory, purpose
        self.owner: object = None

    def split(self, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """Tensors of these shapes, one behind the other, not initialised; each begins at a multiple of 64 elements."""
        tensors, begin = [], 0
        for shape in shapes:
            tensors.append(self.memory[begin : begin + prod(shape)].view(shape))
            begin += _rounded(shape)
        return tensors

    def pointers(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """Return the addresses of what `split` would return."""
        begins = accumulate((_rounded(shape) for shape in shapes[:-1]), initial=0)
        return [self.memory.data_ptr() + begin * self.memory.itemsize for begin in begins]

    def give_back(self) -> None:
        """Keep it for the next pass, unless a larger one waits already."""
        key = (self.purpose, self.memory.dtype, self.memory.device)
        idle = _idle.get(key)
        if idle is None or idle.memory.numel() < self.memory.numel():
            _idle[key] = self

    def check(self, owner: object) -> None:
        """Raise unless the memory still holds what `owner` wrote."""
        if self.owner is not owner:
            raise RuntimeError("a second backward pass through an unroll whose memory serves a later one by now")


@dataclass(frozen=True)
class Trace:
    """States and errors of every sequence at every step, for what norms cannot tell.

    Filled by the backward pass, for the first part of the state; see kernels.unroll.
    """

    states: PerStep  # h_t, after step t = 1 … T
    errors: PerStep  # dL/dh_t in full, at its true scale: what is too small for the type is zero
    workspace: Workspace | None = None  # that both lie in

    @classmethod
    def of(cls, like: Tensor, replicas: int, time: int, batch: int, hidden: int) -> "Trace":
        """Return one in memory of the type and on the device of `like`."""
        shapes = [(replicas, time, batch, hidden)] * 2
        workspace = lend(object(), shapes, like.dtype, like.device, "trace")
        states, errors = workspace.split(shapes)
        return cls(states, errors, workspace)

    def give_back(self) -> None:
        """Let the next trace use the memory again."""
        if self.workspace is not None:
            self.workspace.give_back()

    def check(self, like: Tensor, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless it fits the pass."""
        wanted = (torch.Size(shape), like.dtype, like.device)
        for name, part in (("states", self.states), ("errors", self.errors)):
            if (part.shape, part.dtype, part.device) != wanted or not part.is_contiguous():
                raise ValueError(f"trace.{name} is contiguous, {like.dtype} {list(wanted[0])} on {like.device}")


def lend(
    owner: object,
    shapes: Sequence[tuple[int, ...]],
    dtype: torch.dtype,
    device: torch.device,
    purpose: str = "pass",
) -> Workspace:
    """Return a workspace with room for these shapes: the idle one of this purpose if it is large enough."""
    need = sum(_rounded(shape) for shape in shapes)
    workspace = _idle.pop((purpose, dtype, device), None)
    if workspace is None or workspace.memory.numel() < need:
        del workspace  # before the larger one is made
        workspace = Workspace(_in_large_pages(torch.empty(need, dtype=dtype, device=device)), purpose)
    workspace.owner = owner
    return workspace


def _in_large_pages(memory: Tensor) -> Tensor:
    """Return the same memory, in pages of 2 MB where Linux grants them: passes stream through it 5 to 10 % faster."""
    if memory.device.type == "cpu" and hasattr(mmap, "MADV_HUGEPAGE") and memory.nbytes > 2**23:
        begin = (memory.data_ptr() // mmap.PAGESIZE + 1) * mmap.PAGESIZE
        size = memory.data_ptr() + memory.nbytes - begin
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), mmap.MADV_HUGEPAGE)
    return memory


def _rounded(shape: tuple[int, ...]) -> int:
    return (prod(shape) + 63) // 64 * 64
