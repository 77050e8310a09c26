"""What is minimized, and what is scored, for each kind of task; always one number a replica."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional

Outputs = Float[Tensor, "replica answer batch output"]
PerReplica = Float[Tensor, " replica"]


class Objective(ABC):
    """The loss that is minimized and the score that the goal is held against; both fall as a replica learns."""

    @abstractmethod
    def loss(self, outputs: Outputs, targets: Shaped[Tensor, "replica answer batch ..."]) -> PerReplica:
        """What is minimized."""

    @abstractmethod
    def score(self, outputs: Outputs, targets: Shaped[Tensor, "replica answer batch ..."]) -> PerReplica:
        """What the goal is held against."""


class Regression(Objective):
    """Mean squared error, as loss and as score."""

    def loss(self, outputs: Outputs, targets: Float[Tensor, "replica answer batch output"]) -> PerReplica:
        return (outputs - targets).square().mean(dim=(1, 2, 3))

    score = loss


class Classification(Objective):
    """Cross entropy in nats as loss; the share of wrong answers, between 0 and 1, as score."""

    def loss(self, outputs: Outputs, targets: Int64[Tensor, "replica answer batch"]) -> PerReplica:
        entropy = functional.cross_entropy(outputs.flatten(0, 2), targets.flatten(), reduction="none")
        return entropy.view(targets.shape).mean(dim=(1, 2))

    def score(self, outputs: Outputs, targets: Int64[Tensor, "replica answer batch"]) -> PerReplica:
        return (outputs.argmax(dim=-1) != targets).to(torch.float32).mean(dim=(1, 2))


def objective(kind: str) -> Objective:
    """The objective of a task's `kind`."""
    return Regression() if kind == "regression" else Classification()
