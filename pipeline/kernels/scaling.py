"""Running gradients that neither underflow nor overflow: rescaled by exact powers of two, the exponent carried along.

Backpropagation through time is linear in the gradient, so the running dL/d(state) of each replica is held as

    dL/d(state) = 2^e g        e an integer, one for each replica; g of norm between 2^-40 and 2^40

and rescaling g by a power of two and adding to e changes no bit of anything derived from it. In float32 the plain
gradient of a vanishing cell is 0 after some hundred steps; here log2 |dL/d(state)| = e + log2 |g| stays finite.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.kernels.workspace import Trace

FLOOR = -1e6  # log2 of the norm of a gradient that is exactly zero; far below that of any other
NEAR = 40  # |log2| of the norm of g up to which g is not rescaled

Norms = Mapping[str, Float[Tensor, "replica time"]]


def frobenius(gradient: Float[Tensor, "replica batch width"]) -> Float[Tensor, " replica"]:
    """Return each replica's norm over batch and width, in float64: squares in float32 underflow below 2^-63."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=(1, 2), dtype=torch.float64)
    return norm


def binary_exponent(norm: Float[Tensor, " replica"]) -> Float[Tensor, " replica"]:
    """Return the integer e with 2^(e-1) <= norm < 2^e; 0 for zero, and for what is not finite."""
    return torch.where(norm.isfinite(), torch.frexp(norm).exponent.double(), 0.0)


def times_power_of_two_(
    tensor: Float[Tensor, "replica ..."], exponent: Float[Tensor, "replica ..."]
) -> Float[Tensor, "replica ..."]:
    """Return 2^exponent x in place. The exponent has the first axes of x."""
    limit = largest_exponent(tensor.dtype)
    shape = exponent.shape + (1,) * (tensor.dim() - exponent.dim())
    tensor.mul_(torch.exp2(exponent.clamp(max=limit)).to(tensor.dtype).view(shape))
    if tensor.is_cuda or float(exponent.max()) > limit:  # a second factor: 2^exponent is infinite, and 0 must stay 0
        tensor.mul_(torch.exp2((exponent - limit).clamp(0, limit)).to(tensor.dtype).view(shape))
    return tensor


def largest_exponent(dtype: torch.dtype) -> int:
    """Return the largest e for which both 2^e and 2^-e are exact."""
    return 126 if dtype == torch.float32 else 1022


class RunningGradient:
    """dL/d(state) on its way back through time, as 2^exponent `parts`; without norms to fill, plain and unscaled.

    `norms` has one tensor for each name, each for one part of the state; row r, column t is for log2 of the Frobenius
    norm of dL/d(part after step t) of replica r.
    """

    def __init__(
        self,
        parts: Sequence[Float[Tensor, "replica batch _"]],
        names: Sequence[str],
        norms: Norms | None,
        steps: int,
        trace: Trace | None = None,
    ):
        self.parts = tuple(parts)
        self.names, self.norms, self.trace = names, norms, trace
        self.limit, replicas = largest_exponent(parts[0].dtype), len(parts[0])
        self.exponent = parts[0].new_full((replicas,), 0.0 if norms is None else FLOOR, dtype=torch.float64)
        self.exponents = [self.exponent] * steps  # at which each step was computed
        self.scaled = False  # whether any exponent may differ from 0
        self.noted = parts[0].new_empty(steps if norms else 0, len(names), replicas)  # the norms of g
        self.rows = [norm.unbind() for norm in self.noted]

    def inject(self, gradient: Float[Tensor, "replica batch width"]) -> None:
        """Add the gradient that the loss sends to this step's output, the first part of the state."""
        if self.norms is not None:
            norm = frobenius(gradient)
            wanted = binary_exponent(norm)
            wanted = torch.where(wanted.abs() > NEAR, wanted, 0.0)
            exponent = torch.maximum(self.exponent, torch.where(norm > 0, wanted, FLOOR))
            self._multiply(torch.exp2(self.exponent - exponent))
            gradient = gradient * _factor(torch.exp2((-exponent).clamp_(max=self.limit)), gradient)
            self._set_exponent(exponent)
        self.parts = (self.parts[0] + gradient, *self.parts[1:])

    def advance(
        self, step: int, totals: Sequence[Float[Tensor, "_ _ _"]], parts: Sequence[Float[Tensor, "_ _ _"]]
    ) -> None:
        """Note dL/d(state after `step`), `totals`, and go back to the state before, `parts`, both at this scale."""
        self.exponents[step] = self.exponent
        self.parts = tuple(parts)
        if self.trace is not None:
            self.trace.errors[:, step] = totals[0]
        if self.norms is None:
            return
        for total, row in zip(totals, self.rows[step], strict=True):
            torch.linalg.vector_norm(total, dim=(1, 2), out=row)
        if not self._near_one(self.noted[step]):
            self._rescale(step, totals)

    def write(self) -> None:
        """Fill the norms with what was noted, and bring the errors of the trace to their true scale."""
        if self.trace is not None and self.scaled:
            times_power_of_two_(self.trace.errors, torch.stack(self.exponents, dim=1))
        if self.norms is None:
            return
        scaled = self.noted.double()
        logs = torch.where(scaled == 0, FLOOR, torch.log2(scaled) + torch.stack(self.exponents).unsqueeze(1))
        for part, name in enumerate(self.names):
            self.norms[name].copy_(logs[:, part].mT)

    def _near_one(self, norms: Float[Tensor, "part replica"]) -> bool:
        """Return True if all are; always False on CUDA, where to ask takes longer than to rescale."""
        if norms.is_cuda:
            return False
        smallest, largest = norms.aminmax()
        return float(smallest) > 2.0**-NEAR and float(largest) < 2.0**NEAR

    def _rescale(self, step: int, totals: Sequence[Float[Tensor, "_ _ _"]]) -> None:
        """Divide g by a power of two near its norm."""
        norms = torch.stack([frobenius(total) for total in totals])
        self.noted[step] = norms
        shift = binary_exponent(norms.amax(0)).clamp_(-self.limit, self.limit)
        self._multiply(torch.exp2(-shift))
        self._set_exponent(self.exponent + shift)

    def _set_exponent(self, exponent: Float[Tensor, " replica"]) -> None:
        self.exponent = exponent
        self.scaled = exponent.is_cuda or bool((exponent != 0).any())

    def _multiply(self, factor: Float[Tensor, " replica"]) -> None:
        self.parts = tuple(part * _factor(factor, part) for part in self.parts)


def _factor(factor: Float[Tensor, " replica"], part: Tensor) -> Float[Tensor, "replica 1 1"]:
    return factor.to(part.dtype).view(-1, 1, 1)
