"""Any elementwise optimizer of torch.optim trains every replica on its own, for its state has one row a replica too."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.learning import lazy_dynamo

lazy_dynamo.postpone()

MakeOptimizer = Callable[[list[Any]], torch.optim.Optimizer]  # from tensors, or torch's groups of parameters


def clip(gradient: Float[Tensor, "replica weight"], largest: float | Tensor) -> Float[Tensor, " replica"]:
    """Scale each replica's gradient, in place, to a norm of at most `largest` (or its own); return the norms before."""
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=1, dtype=torch.float64)  # squares of 1e20 have room there
    gradient.mul_((largest / norms).clamp_(max=1.0).to(gradient.dtype).unsqueeze(1))
    return norms.to(gradient.dtype)


def require_rowwise(make: MakeOptimizer) -> None:
    """Raise `UserError` where the optimizer can't be made, or where one replica's gradient moves another replica."""
    try:
        same = torch.equal(_first_row_after(make, 1.0), _first_row_after(make, -50.0))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"optimizer can't be used: {str(error).splitlines()[0]}") from error
    if not same:
        raise UserError("optimizer must be elementwise, as replicas share it; this one mixes them")


def _first_row_after(make: MakeOptimizer, other: float) -> Tensor:
    """Return where two steps lead the first of two replicas, while the gradient of the second is `other`."""
    rows = torch.zeros(2, 3, requires_grad=True)
    optimizer = make([rows])
    for _ in range(2):
        rows.grad = torch.tensor([[1.0, 2.0, -3.0], [other, 2 * other, other]])
        optimizer.step()
    return rows.detach()[0]


def narrowed(
    make: MakeOptimizer, optimizer: torch.optim.Optimizer, rows: Tensor, kept: Int64[Tensor, " kept"]
) -> tuple[torch.optim.Optimizer, Tensor]:
    """Return the optimizer and the trained rows of the replicas that are `kept`, with the state that they had."""
    fewer = rows.detach()[kept].requires_grad_()
    fresh = make([fewer])
    for name, value in optimizer.state[rows].items():
        fresh.state[fewer][name] = kept_rows(name, value, rows, kept)
    return fresh, fewer


def kept_rows(name: str, value: object, rows: Tensor, kept: Tensor) -> object:
    """Return an entry of an optimizer's state for the replicas that are `kept`."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    if value.shape != rows.shape:
        raise UserError(f"optimizer must be elementwise, as replicas share it; its state {name!r} is not")
    return value[kept]
