"""The regularizer Omega of Pascanu, Mikolov, Bengio 2013 (arXiv:1211.5063, section 3.3 and the authors' code).

It asks that the error of a sequence keeps its norm from step to step on its way back through time. With h_t = phi(a_t),
a_t = U h_(t-1) + W x_t + b and d_t = dL/dh_t of one sequence, where L is the mean loss of the batch,

    v_t   = U' (phi'(a_t) d_t)          what reaches step t - 1 through the state
    r_t   = |v_t|^2 / |d_t|^2
    Omega = mean of (r_t - 1)^2         over the steps t = 1 … T of all sequences with |d_t|^2 >= 1e-20

Only the immediate derivative by U is taken, errors and states are constants:

    dOmega/dU = mean of 4 (r_t - 1) / |d_t|^2  (phi'(a_t) d_t) v_t'

As in the authors' code each sequence has its own norms, and Omega is a mean over the terms that count; the paper's
equation 10 sums over t. Where no term counts Omega is 0 here, and 0 / 0 there.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.base.errors import require
from pipeline.cells.cell import Cell
from pipeline.cells.rnn import RNN
from pipeline.kernels.workspace import PerStep, Trace
from pipeline.learning.model import Model

ROWS = 512  # steps x sequences that are taken at a time: they stay in the cache, and their memory is used again
SMALLEST = 1e-20  # squared norm of an error from which on its term counts, in units of L^2


def omega(
    errors: PerStep, states: PerStep, slope: Callable[[PerStep], PerStep], recurrent: Float[Tensor, "replica out in"]
) -> tuple[Float[Tensor, " replica"], Float[Tensor, "replica out in"]]:
    """Return Omega of each replica and dOmega/dU, from d_t, h_t, `slope`, which gives phi'(a) for h = phi(a), and U."""
    terms, total, gradient = errors.new_zeros(len(errors)), errors.new_zeros(len(errors)), torch.zeros_like(recurrent)
    steps = max(1, ROWS // errors.shape[2])
    for error, state in zip(errors.split(steps, dim=1), states.split(steps, dim=1), strict=True):
        norms = _norms(error)
        counts = norms >= SMALLEST**0.5
        units = error * torch.where(counts, 1 / norms, 0.0)
        before = units.mul_(slope(state)).flatten(1, 2)
        reached = torch.bmm(before, recurrent)
        excess = (reached.square().sum(dim=2, keepdim=True) - 1) * counts.flatten(1, 2)
        terms += counts.sum(dim=(1, 2, 3))
        total += excess.square().sum(dim=(1, 2))
        gradient.baddbmm_(before.mT, reached.mul_(excess))
    terms.clamp_(min=1)
    return total / terms, gradient * (4 / terms).view(-1, 1, 1)


def _norms(errors: PerStep) -> Float[Tensor, "replica time batch 1"]:
    """Return |d_t|, by way of float64 where the squares leave the range of their type."""
    norms: Tensor = torch.linalg.vector_norm(errors, dim=3, keepdim=True)
    if not norms.isfinite().all():
        wide = torch.linalg.vector_norm(errors, dim=3, keepdim=True, dtype=torch.float64).to(errors.dtype)
        norms = torch.where(norms.isfinite(), norms, wide)
    return norms


def add_gradient(model: Model, trace: Trace, weight: float) -> None:
    """Add `weight` dOmega/dU of a tanh RNN to the gradient of its weights, of which a backward pass left `trace`."""
    assert model.rows.grad is not None
    recurrent, gradient = (model.layout.views(rows)["weight_hh"] for rows in (model.rows.detach(), model.rows.grad))
    gradient.add_(omega(trace.errors, trace.states, tanh_slope, recurrent)[1], alpha=weight)


def tanh_slope(states: PerStep) -> PerStep:
    """Return phi'(a) = 1 - h^2 for h = tanh a."""
    return torch.addcmul(torch.ones((), dtype=states.dtype, device=states.device), states, states, value=-1)


def require_served(weight: float, cell: Cell) -> None:
    """Raise `UserError` where Omega is asked for and the cell is no tanh RNN, for which alone it is defined here."""
    rule = f"serves the cell rnn alone, and must be 0 for {type(cell).__name__}"
    require(weight == 0 or isinstance(cell, RNN), "training.regularizer", rule, weight)
