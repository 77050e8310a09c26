"""Running gradients that neither underflow nor overflow: rescaled by exact powers of two, the exponent carried along.

Backpropagation through time is linear in the gradient, so the running dL/d(state) of each replica is held as

    dL/d(state) = 2^e g        e an integer, one for each replica; g of norm near 1

and rescaling g by a power of two and adding to e changes no bit of anything derived from it. In float32 the plain
gradient of a vanishing cell is 0 after some hundred steps; here log2 |dL/d(state)| = e + log2 |g| stays finite.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = -1e6  # log2 of the norm of a gradient that is exactly zero; far below that of any other

Norms = Mapping[str, Float[Tensor, "replica time"]]


def frobenius(gradient: Float[Tensor, "replica batch width"]) -> Float[Tensor, " replica"]:
    """Each replica's norm over batch and width, in float64: the squares of float32 would underflow below 2^-63."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=(1, 2), dtype=torch.float64)
    return norm


def binary_exponent(norm: Float[Tensor, " replica"]) -> Float[Tensor, " replica"]:
    """The integer e with 2^(e-1) <= norm < 2^e; 0 for zero, and for what is not finite."""
    return torch.frexp(norm).exponent.to(norm.dtype)


def times_power_of_two(
    tensor: Float[Tensor, "replica ..."], exponent: Float[Tensor, " replica"]
) -> Float[Tensor, "replica ..."]:
    """2^exponent x, in two factors, so that a zero stays zero where 2^exponent alone would overflow."""
    half = torch.floor(exponent / 2)
    shape = (-1,) + (1,) * (tensor.dim() - 1)
    first, second = torch.exp2(half).to(tensor.dtype), torch.exp2(exponent - half).to(tensor.dtype)
    return tensor * first.view(shape) * second.view(shape)


class RunningGradient:
    """dL/d(state) on its way back through time, as 2^exponent `parts`; without norms to fill, plain and unscaled.

    `norms` has one tensor for each name, each for one part of the state; row r, column t is for log2 of the Frobenius
    norm of dL/d(part after step t) of replica r.
    """

    def __init__(
        self, parts: Sequence[Float[Tensor, "replica batch width"]], names: Sequence[str], norms: Norms | None
    ):
        self.parts = tuple(parts)
        self.names, self.norms = names, norms
        self.exponent = parts[0].new_full((len(parts[0]),), 0.0 if norms is None else FLOOR, dtype=torch.float64)
        self.limit = 126 if parts[0].dtype == torch.float32 else 1022  # 2^limit and 2^-limit are exact
        self.scaled: list[tuple[int, Tensor, Tensor]] = []  # of each step: norms [part, replica] of g, and exponent

    def inject(self, gradient: Float[Tensor, "replica batch width"]) -> None:
        """Add the gradient that the loss sends to this step's output, the first part of the state."""
        if self.norms is not None:
            norm = frobenius(gradient)
            exponent = torch.maximum(self.exponent, torch.where(norm > 0, binary_exponent(norm), FLOOR))
            self._multiply(torch.exp2(self.exponent - exponent))
            gradient = gradient * _factor(torch.exp2((-exponent).clamp_(max=self.limit)), gradient)
            self.exponent = exponent
        self.parts = (self.parts[0] + gradient, *self.parts[1:])

    def record(self, step: int, totals: Sequence[Float[Tensor, "replica batch width"]]) -> None:
        """Note dL/d(state after `step`), given at the present scale."""
        if self.norms is not None:
            self.scaled.append((step, torch.stack([frobenius(total) for total in totals]), self.exponent))

    def replace(self, parts: Sequence[Float[Tensor, "replica batch width"]]) -> None:
        """Go one step back: these parts, computed at the present scale, are divided by the norm last noted."""
        self.parts = tuple(parts)
        if self.norms is not None:
            shift = binary_exponent(self.scaled[-1][1].amax(0)).clamp_(-self.limit, self.limit)
            self._multiply(torch.exp2(-shift))
            self.exponent = self.exponent + shift

    def unscaled(self, tensor: Float[Tensor, "replica ..."]) -> Float[Tensor, "replica ..."]:
        """What was computed from `parts` at the present scale, at its true scale."""
        return tensor if self.norms is None else times_power_of_two(tensor, self.exponent)

    def write(self) -> None:
        """Fill the norms with what was noted."""
        if self.norms is None:
            return
        steps, norms, exponents = zip(*self.scaled, strict=True)
        scaled = torch.stack(norms, dim=-1)  # [part, replica, time]
        logs = torch.where(scaled == 0, FLOOR, torch.log2(scaled) + torch.stack(exponents, dim=-1))
        for name, log in zip(self.names, logs, strict=True):
            self.norms[name][:, list(steps)] = log.to(self.norms[name].dtype)

    def _multiply(self, factor: Float[Tensor, " replica"]) -> None:
        self.parts = tuple(part * _factor(factor, part) for part in self.parts)


def _factor(factor: Float[Tensor, " replica"], part: Tensor) -> Float[Tensor, "replica 1 1"]:
    return factor.to(part.dtype).view(-1, 1, 1)
