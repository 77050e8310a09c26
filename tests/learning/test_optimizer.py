"""Clipping and optimizers, a row a replica."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.learning.optimizer import MakeOptimizer, clip, narrowed, require_rowwise

ELEMENTWISE: dict[str, MakeOptimizer] = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "adam": partial(torch.optim.Adam, lr=0.1, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1),
    "adagrad": partial(torch.optim.Adagrad, lr=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.1, momentum=0.5, centered=True),
    "nadam": partial(torch.optim.NAdam, lr=0.1),
    "radam": partial(torch.optim.RAdam, lr=0.1),
    "adamax": partial(torch.optim.Adamax, lr=0.1),
    "adadelta": partial(torch.optim.Adadelta, lr=0.5),
    "asgd": partial(torch.optim.ASGD, lr=0.1),
    "rprop": partial(torch.optim.Rprop, lr=0.1),
}
MIXING: dict[str, MakeOptimizer] = {
    "muon": partial(torch.optim.Muon, lr=0.1),
    "adafactor": partial(torch.optim.Adafactor, lr=0.1),
}


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@examples(max_examples=40, deadline=None)
@given(replicas=st.integers(1, 5), size=st.integers(1, 40), largest=st.floats(0.01, 20), seed=st.integers(0, 999))
def test_each_replica_is_clipped_like_a_model_of_torch(replicas: int, size: int, largest: float, seed: int) -> None:
    gradient = draw(replicas, size, seed=seed)
    ours = gradient.clone()
    norms = clip(ours, largest)
    for replica in range(replicas):
        parameter = torch.nn.Parameter(torch.zeros(size))
        parameter.grad = gradient[replica].clone()
        norm = torch.nn.utils.clip_grad_norm_([parameter], largest)
        torch.testing.assert_close(norms[replica], norm)
        torch.testing.assert_close(ours[replica], parameter.grad, rtol=2e-4, atol=1e-7)  # torch adds 1e-6 to the norm


def test_no_limit_changes_nothing_and_a_zero_gradient_stays_zero() -> None:
    gradient = torch.stack([draw(5, seed=0), torch.zeros(5)])
    kept = gradient.clone()
    clip(kept, torch.inf)
    assert torch.equal(kept, gradient)
    clip(kept, 0.1)
    assert torch.equal(kept[1], torch.zeros(5))
    assert float(kept[0].norm()) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("make", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_replicas_that_stay_keep_their_optimizer_state(make: MakeOptimizer) -> None:
    """A run from which replicas leave ends where one ends from which none leaves."""
    begin = draw(4, 6, seed=0)

    def run(leave: bool) -> torch.Tensor:
        rows, kept = begin.clone().requires_grad_(), torch.arange(4)
        optimizer = make([rows])
        for update in range(12):
            rows.grad = draw(4, 6, seed=update)[kept] * (1 + kept.unsqueeze(1))
            optimizer.step()
            if leave and update in (3, 7):
                staying = torch.arange(len(kept))[1:]
                optimizer, rows = narrowed(make, optimizer, rows, staying)
                kept = kept[staying]
        return rows.detach()

    assert torch.equal(run(leave=True), run(leave=False)[2:])


@pytest.mark.parametrize("make", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_an_elementwise_optimizer_is_accepted(make: MakeOptimizer) -> None:
    require_rowwise(make)


@pytest.mark.parametrize("make", MIXING.values(), ids=MIXING)
def test_an_optimizer_that_mixes_replicas_is_refused(make: MakeOptimizer) -> None:
    with pytest.raises(UserError, match=r"^optimizer must be elementwise, as replicas share it; this one mixes them$"):
        require_rowwise(make)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (partial(torch.optim.LBFGS, lr=0.1), "closure"),
        (partial(torch.optim.SparseAdam, lr=0.1), "dense"),
        (partial(torch.optim.Adam, lr=-1.0), "Invalid learning rate: -1.0"),
        (partial(torch.optim.Adam, speed=1.0), "unexpected keyword argument 'speed'"),
    ],
)
def test_an_optimizer_that_can_not_be_used_is_refused(make: MakeOptimizer, reason: str) -> None:
    with pytest.raises(UserError, match=f"^optimizer can't be used: .*{reason}"):
        require_rowwise(make)


def test_a_state_that_is_not_elementwise_is_refused_when_a_replica_leaves() -> None:
    rows = draw(4, 6, seed=0).requires_grad_()
    make = MIXING["adafactor"]
    optimizer = make([rows])
    rows.grad = draw(4, 6, seed=1)
    optimizer.step()
    with pytest.raises(UserError, match=r"^optimizer must be elementwise"):
        narrowed(make, optimizer, rows, torch.tensor([0, 2]))


def test_a_gradient_whose_square_overflows_is_clipped_and_not_lost() -> None:
    gradient = torch.full((1, 100), 3e19)
    assert clip(gradient, 1.0).item() == pytest.approx(3e20, rel=1e-6)
    assert float(gradient.norm()) == pytest.approx(1.0, rel=1e-5)
