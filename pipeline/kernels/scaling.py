"""Running gradients that neither underflow nor overflow: rescaled by exact powers of two, the exponent carried along.

Backpropagation through time is linear in the gradient, so the running dL/d(state) of each replica is held as

    dL/d(state) = 2^e g        e an integer, one for each replica; g of norm between 2^-20 and 2^20

and rescaling g by a power of two and adding to e changes no bit of anything derived from it. In float32 the plain
gradient of a vanishing cell is 0 after some hundred steps; here log2 |dL/d(state)| = e + log2 |g| stays finite.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = -1e6  # log2 of the norm of a gradient that is exactly zero; far below that of any other
NEAR = 20  # |log2| of the norm of g up to which g is not rescaled

Norms = Mapping[str, Float[Tensor, "replica time"]]


def frobenius(gradient: Float[Tensor, "replica batch width"]) -> Float[Tensor, " replica"]:
    """Each replica's norm over batch and width, in float64: the squares of float32 would underflow below 2^-63."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=(1, 2), dtype=torch.float64)
    return norm


def binary_exponent(norm: Float[Tensor, " replica"]) -> Float[Tensor, " replica"]:
    """The integer e with 2^(e-1) <= norm < 2^e; 0 for zero, and for what is not finite."""
    return torch.frexp(norm).exponent.double()


def times_power_of_two(
    tensor: Float[Tensor, "replica ..."], exponent: Float[Tensor, "replica ..."]
) -> Float[Tensor, "replica ..."]:
    """2^exponent x, in two factors, so that a zero stays zero where 2^exponent alone would overflow.

    The exponent has the first axes of x.
    """
    half = torch.floor(exponent / 2)
    shape = exponent.shape + (1,) * (tensor.dim() - exponent.dim())
    first, second = torch.exp2(half).to(tensor.dtype), torch.exp2(exponent - half).to(tensor.dtype)
    return tensor * first.view(shape) * second.view(shape)


class RunningGradient:
    """dL/d(state) on its way back through time, as 2^exponent `parts`; without norms to fill, plain and unscaled.

    `norms` has one tensor for each name, each for one part of the state; row r, column t is for log2 of the Frobenius
    norm of dL/d(part after step t) of replica r.
    """

    def __init__(self, parts: Sequence[Float[Tensor, "replica batch width"]], names: Sequence[str], norms: Norms | None):
        self.parts = tuple(parts)
        self.names, self.norms = names, norms
        self.exponent = parts[0].new_full((len(parts[0]),), 0.0 if norms is None else FLOOR, dtype=torch.float64)
        self.scaled = False  # whether any exponent may differ from 0
        self.limit = 126 if parts[0].dtype == torch.float32 else 1022  # 2^limit and 2^-limit are exact
        self.noted: list[tuple[int, Tensor, Tensor]] = []  # of each step: norms [part, replica] of g, and exponent

    def inject(self, gradient: Float[Tensor, "replica batch width"]) -> None:
        """Add the gradient that the loss sends to this step's output, the first part of the state."""
        if self.norms is not None:
            norm = frobenius(gradient)
            wanted = _unless_near(binary_exponent(norm))
            exponent = torch.maximum(self.exponent, torch.where(norm > 0, wanted, FLOOR))
            self._multiply(torch.exp2(self.exponent - exponent))
            gradient = gradient * _factor(torch.exp2((-exponent).clamp_(max=self.limit)), gradient)
            self._set_exponent(exponent)
        self.parts = (self.parts[0] + gradient, *self.parts[1:])

    def record(self, step: int, totals: Sequence[Float[Tensor, "replica batch width"]]) -> None:
        """Note dL/d(state after `step`), given at the present scale."""
        if self.norms is not None:
            self.noted.append((step, _norms(totals), self.exponent))

    def replace(self, parts: Sequence[Float[Tensor, "replica batch width"]]) -> None:
        """Go one step back: these parts, computed at the present scale, are divided by the norm last noted.

        Where that norm is near 1 they are left alone, on a CPU without even a multiplication.
        """
        self.parts = tuple(parts)
        if self.norms is None:
            return
        largest = self.noted[-1][1].amax(0)
        if _all_between(largest, 2.0**-NEAR, 2.0**NEAR):
            return
        shift = _unless_near(binary_exponent(largest)).clamp_(-self.limit, self.limit)
        self._multiply(torch.exp2(-shift))
        self._set_exponent(self.exponent + shift)

    def last_exponents(self, steps: int) -> Float[Tensor, "replica steps"]:
        """The exponents at which the last noted steps were computed, the earliest step first."""
        return torch.stack([exponent for _, _, exponent in reversed(self.noted[-steps:])], dim=1)

    def write(self) -> None:
        """Fill the norms with what was noted."""
        if self.norms is None:
            return
        steps, norms, exponents = zip(*self.noted, strict=True)
        scaled = torch.stack(norms, dim=-1).double()  # [part, replica, time]
        logs = torch.where(scaled == 0, FLOOR, torch.log2(scaled) + torch.stack(exponents, dim=-1))
        for name, log in zip(self.names, logs, strict=True):
            self.norms[name][:, list(steps)] = log.to(self.norms[name].dtype)

    def _set_exponent(self, exponent: Float[Tensor, " replica"]) -> None:
        self.exponent = exponent
        self.scaled = exponent.is_cuda or bool((exponent != 0).any())

    def _multiply(self, factor: Float[Tensor, " replica"]) -> None:
        self.parts = tuple(part * _factor(factor, part) for part in self.parts)


def _norms(totals: Sequence[Float[Tensor, "replica batch width"]]) -> Float[Tensor, "part replica"]:
    """The norm of each; in float64 only where needed, for it takes twice the time."""
    if not totals[0].is_cuda:
        norms = torch.stack([torch.linalg.vector_norm(total, dim=(1, 2)) for total in totals])
        if _all_between(norms, 1e-15, 1e15):
            return norms
    return torch.stack([frobenius(total) for total in totals])


def _all_between(norms: Float[Tensor, "..."], low: float, high: float) -> bool:
    """Whether all lie there; on CUDA, where the question would make the processor wait, no is the answer."""
    if norms.is_cuda:
        return False
    smallest, largest = norms.aminmax()
    return float(smallest) > low and float(largest) < high


def _unless_near(exponent: Float[Tensor, " replica"]) -> Float[Tensor, " replica"]:
    """0 where the exponent is near 0."""
    return torch.where(exponent.abs() > NEAR, exponent, 0.0)


def _factor(factor: Float[Tensor, " replica"], part: Tensor) -> Float[Tensor, "replica 1 1"]:
    return factor.to(part.dtype).view(-1, 1, 1)
