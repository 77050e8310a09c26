"""The loss and the score of each kind of task; always one number a replica."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

Outputs = Float[Tensor, "replica answer batch output"]
PerReplica = Float[Tensor, " replica"]
Targets = Shaped[Tensor, "replica answer batch ..."]
Wrong = Bool[Tensor, "replica _ batch"]  # of each answer, or one for each sequence
Measure = Callable[[Outputs, Targets], PerReplica]

TOLERANCE = 0.04  # largest squared error of an answer that counts as right (Pascanu et al. 2013, authors' code)


@dataclass(frozen=True)
class Objective:
    """The loss that is minimized and the score that the goal is held against; both fall as a replica learns."""

    loss: Callable[[Outputs, Targets], tuple[PerReplica, Outputs]]  # and dL/d(outputs), of outputs without a graph
    score: Measure
    errors: Callable[[Outputs, Targets], Float[Tensor, "replica batch"]]  # at least 0; the score is their mean


def squared_error(outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]) -> PerReplica:
    """Return the mean squared error."""
    return (outputs - targets).square().mean(dim=(1, 2, 3))


def squared_error_loss(
    outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]
) -> tuple[PerReplica, Outputs]:
    """Return the mean squared error, and its derivative 2 (y - target) / n for n numbers y."""
    difference = outputs - targets
    return difference.square().mean(dim=(1, 2, 3)), difference.mul_(2 / targets[0].numel())


def cross_entropy_loss(outputs: Outputs, targets: Int64[Tensor, "replica answer batch"]) -> tuple[PerReplica, Outputs]:
    """Return the mean cross entropy of n answers [nats], and its derivative (softmax(y) - [target]) / n."""
    logarithms, right = outputs.log_softmax(dim=3), targets.unsqueeze(3)
    losses = -logarithms.gather(3, right).mean(dim=(1, 2, 3))
    slope = logarithms.exp_()
    slope.scatter_add_(3, right, slope.new_full((), -1.0).expand(right.shape))
    return losses, slope.mul_(1 / targets[0].numel())


def squared_errors(
    outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]
) -> Float[Tensor, "replica batch"]:
    """Return the mean squared error of each sequence."""
    return (outputs - targets).square().mean(dim=(1, 3))


def not_close(outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]) -> Wrong:
    """Return which answers have a squared error, summed over the outputs, above `TOLERANCE`."""
    return ~((outputs - targets).square().sum(dim=3) <= TOLERANCE)


def other_sign(outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]) -> Wrong:
    """Return which answers lie on the other side of 0 than the target, in any output."""
    return ~(outputs * targets > 0).all(dim=3)


def other_class(outputs: Outputs, targets: Int64[Tensor, "replica answer batch"]) -> Wrong:
    """Return which answers are of another class."""
    return outputs.argmax(dim=-1) != targets


def any_other_class(outputs: Outputs, targets: Int64[Tensor, "replica answer batch"]) -> Wrong:
    """Return which sequences have at least one answer of another class, as if each had one answer."""
    return other_class(outputs, targets).any(dim=1, keepdim=True)


def _counting(
    loss: Callable[[Outputs, Targets], tuple[PerReplica, Outputs]], wrong: Callable[[Outputs, Targets], Wrong]
) -> Objective:
    """Return the objective whose score is the share of wrong answers."""
    return Objective(
        loss,
        score=lambda outputs, targets: wrong(outputs, targets).to(torch.float32).mean(dim=(1, 2)),
        errors=lambda outputs, targets: wrong(outputs, targets).to(torch.float32).mean(dim=1),
    )


OBJECTIVES = {
    "regression": Objective(squared_error_loss, squared_error, squared_errors),
    "tolerance": _counting(squared_error_loss, not_close),
    "sign": _counting(squared_error_loss, other_sign),
    "classification": _counting(cross_entropy_loss, other_class),
    "recall": _counting(cross_entropy_loss, any_other_class),
}


def objective(kind: str) -> Objective:
    """Return the objective of a task's `kind`."""
    return OBJECTIVES[kind]
