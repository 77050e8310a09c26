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

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.cells.rnn import RNN
from pipeline.errors import require
from pipeline.kernels.trace import PerStep, Trace
from pipeline.learning.model import Model

SMALLEST = 1e-20  # squared norm of an error from which on its term counts, in units of L^2


def omega(
    errors: PerStep, slopes: PerStep, recurrent: Float[Tensor, "replica hidden hidden"]
) -> tuple[Float[Tensor, " replica"], Float[Tensor, "replica hidden hidden"]]:
    """Omega of each replica and dOmega/dU, from d_t, phi'(a_t) and U."""
    norms = torch.linalg.vector_norm(errors, dim=3, keepdim=True, dtype=torch.float64)  # no square leaves its range
    counts = norms >= SMALLEST**0.5
    units = errors * torch.where(counts, 1 / norms, 0.0).to(errors.dtype)
    before = units.mul_(slopes).flatten(1, 2)
    reached = torch.bmm(before, recurrent)
    excess = (reached.square().sum(dim=2, keepdim=True) - 1) * counts.flatten(1, 2)
    terms = counts.sum(dim=(1, 2, 3)).clamp_(min=1).to(errors.dtype)
    gradient = torch.bmm(before.mT, reached.mul_(excess * (4 / terms).view(-1, 1, 1)))
    return excess.square().sum(dim=(1, 2)) / terms, gradient


def add_gradient(model: Model, trace: Trace, weight: float) -> None:
    """Add `weight` dOmega/dU of a tanh RNN to the gradient of its weights, of which a backward pass left `trace`."""
    assert model.rows.grad is not None
    recurrent, gradient = (model.layout.views(rows)["weight_hh"] for rows in (model.rows.detach(), model.rows.grad))
    gradient.add_(omega(trace.errors, tanh_slope(trace.states), recurrent)[1], alpha=weight)


def tanh_slope(states: PerStep) -> PerStep:
    """phi'(a) = 1 - h^2 for h = tanh a."""
    return torch.addcmul(torch.ones((), dtype=states.dtype, device=states.device), states, states, value=-1)


def require_served(weight: float, cell: Cell) -> None:
    """Raise `UserError` where Omega is asked for and the cell is no tanh RNN, for which alone it is defined here."""
    rule = f"serves the cell rnn alone, and must be 0 for {type(cell).__name__}"
    require(weight == 0 or isinstance(cell, RNN), "training.regularizer", rule, weight)
