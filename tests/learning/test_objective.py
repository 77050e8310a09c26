"""Losses and scores against torch.nn.functional, a replica at a time."""

import pytest
import torch
from torch.nn import functional

from pipeline.learning.objective import OBJECTIVES, objective

SHAPE = (3, 4, 5)  # replica, answer, batch


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(*SHAPE, 6, generator=torch.Generator().manual_seed(0))


def test_regression_is_the_mean_squared_error(outputs: torch.Tensor) -> None:
    targets = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([functional.mse_loss(o, t) for o, t in zip(outputs, targets, strict=True)])
    torch.testing.assert_close(objective("regression").loss(outputs, targets)[0], expected)
    torch.testing.assert_close(objective("regression").score(outputs, targets), expected)


def test_classification_is_the_cross_entropy_and_the_share_of_wrong_answers(outputs: torch.Tensor) -> None:
    targets = torch.randint(6, SHAPE, generator=torch.Generator().manual_seed(1))
    targets[0] = outputs[0].argmax(-1)
    loss = [functional.cross_entropy(o.flatten(0, 1), t.flatten()) for o, t in zip(outputs, targets, strict=True)]
    wrong = [
        sum(int(o.argmax()) != int(t) for o, t in zip(oo.flatten(0, 1), tt.flatten(), strict=True)) / 20
        for oo, tt in zip(outputs, targets, strict=True)
    ]
    torch.testing.assert_close(objective("classification").loss(outputs, targets)[0], torch.stack(loss))
    torch.testing.assert_close(objective("classification").score(outputs, targets), torch.tensor(wrong))
    assert wrong[0] == 0


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_slope_is_the_derivative_of_the_loss(kind: str) -> None:
    """The loss against torch.nn.functional under autograd; each is a mean over a replica's own numbers."""
    outputs = torch.randn(*SHAPE, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    if kind in ("classification", "recall"):
        targets = torch.randint(6, SHAPE, generator=torch.Generator().manual_seed(1))
        pairs = zip(outputs.flatten(1, 2), targets.flatten(1, 2), strict=True)
        expected = torch.stack([functional.cross_entropy(one, target) for one, target in pairs])
    else:
        targets = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        expected = torch.stack([functional.mse_loss(one, t) for one, t in zip(outputs, targets, strict=True)])
    (slope,) = torch.autograd.grad(expected.sum(), outputs)
    found = objective(kind).loss(outputs.detach(), targets)
    torch.testing.assert_close(found, (expected.detach(), slope), rtol=1e-12, atol=1e-14)


def test_a_replica_that_is_not_finite_leaves_the_others_alone(outputs: torch.Tensor) -> None:
    targets = torch.randint(6, SHAPE, generator=torch.Generator().manual_seed(1))
    before = objective("classification").loss(outputs, targets)[0]
    outputs[1] = torch.nan
    after = objective("classification").loss(outputs, targets)[0]
    assert after[1].isnan()
    assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_an_answer_is_close_up_to_a_squared_error_of_a_twenty_fifth() -> None:
    targets = torch.zeros(2, 1, 4, 2)
    outputs = torch.tensor([[0.0, 0.0], [0.19, 0.0], [0.15, 0.15], [0.21, 0.0]]).expand(2, 1, 4, 2).clone()
    outputs[1, :, 0] = torch.nan
    torch.testing.assert_close(objective("tolerance").score(outputs, targets), torch.tensor([0.5, 0.75]))
    torch.testing.assert_close(
        objective("tolerance").loss(outputs, targets), objective("regression").loss(outputs, targets), equal_nan=True
    )


def test_a_sign_is_wrong_on_the_other_side_of_zero() -> None:
    targets = torch.tensor([0.8, -0.8, 0.8, -0.8, 0.8]).view(1, 1, 5, 1)
    outputs = torch.tensor([5.0, -0.01, -0.01, 3.0, torch.nan]).view(1, 1, 5, 1)
    torch.testing.assert_close(objective("sign").score(outputs, targets), torch.tensor([3 / 5]))
    finite = slice(0, 4)
    expected = ((outputs - targets)[:, :, finite] ** 2).mean().view(1)
    torch.testing.assert_close(objective("sign").loss(outputs[:, :, finite], targets[:, :, finite])[0], expected)


def test_a_recall_is_wrong_where_any_of_its_symbols_is(outputs: torch.Tensor) -> None:
    targets = outputs.argmax(-1)
    targets[0, 1, 2] = (targets[0, 1, 2] + 1) % 6
    targets[1, :, 3] = (targets[1, :, 3] + 1) % 6
    targets[1, 2, 4] = (targets[1, 2, 4] + 1) % 6
    torch.testing.assert_close(objective("recall").score(outputs, targets), torch.tensor([0.2, 0.4, 0.0]))
    torch.testing.assert_close(
        objective("recall").loss(outputs, targets), objective("classification").loss(outputs, targets)
    )
