"""Replicas that train side by side: each goes the way that it goes alone, and that torch.nn takes by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.base.errors import UserError
from pipeline.data import streams
from pipeline.data.held_out import draw
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences, training_sequences
from pipeline.learning.replicas import enough_memory
from pipeline.settings import Settings
from pipeline.tasks.task import Batch
from tests.learning.trials import assert_alike, small, train

MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
RECIPES = [
    ("adding", "rnn", "optimizer=adam"),
    ("adding", "lstm", "optimizer=sgd optimizer.lr=0.1 optimizer.momentum=0.9"),
    ("temporal_order", "gru", "optimizer=adam training.clip=0.05"),
    ("temporal_order", "rnn", "optimizer=sgd optimizer.lr=0.2 training.clip=inf"),
    ("copy", "lstm", "optimizer=adam optimizer.lr=0.02"),
]


@dataclass
class ByHand:
    """One replica in torch.nn, torch.optim and torch.nn.utils, written as in a tutorial."""

    settings: Settings
    replica: int

    def __post_init__(self) -> None:
        settings, task = self.settings, self.settings.task
        rows, layout = models.begin(settings.cell, task.channels, task.outputs, settings.training.seed, [self.replica])
        weights = {name: weight[0] for name, weight in layout.views(rows).items()}
        hidden = settings.cell.hidden
        self.module = MODULES[settings.names["cell"]](task.channels, hidden)
        self.readout = torch.nn.Linear(hidden, task.outputs)
        self.readout.load_state_dict({name: weights.pop(f"readout.{name}") for name in ("weight", "bias")})
        self.module.load_state_dict({f"{name}_l0": weight for name, weight in weights.items()})
        self.parameters = [*self.module.parameters(), *self.readout.parameters()]

    def optimizer(self) -> torch.optim.Optimizer:
        values = self.settings.tree["optimizer"]
        if self.settings.names["optimizer"] == "adam":
            return torch.optim.Adam(self.parameters, lr=values["lr"])
        return torch.optim.SGD(self.parameters, lr=values["lr"], momentum=values["momentum"])

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        task, inputs = self.settings.task, torch.from_numpy(batch.inputs)
        if inputs.dtype == torch.uint8:
            inputs = functional.one_hot(inputs.long(), task.channels).float()
        return self.readout(self.module(inputs)[0][-task.answers :]), torch.from_numpy(batch.targets)

    def loss(self, batch: Batch) -> Tensor:
        outputs, targets = self.answers(batch)
        if self.settings.task.kind == "regression":
            return functional.mse_loss(outputs, targets)
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def score(self, batch: Batch) -> float:
        with torch.no_grad():
            if self.settings.task.kind == "regression":
                return float(self.loss(batch))
            outputs, targets = self.answers(batch)
            return float((outputs.argmax(-1) != targets).float().mean())

    def train(self) -> Iterator[tuple[float, float]]:
        """Loss and gradient norm of each update."""
        settings, training, optimizer = self.settings, self.settings.training, self.optimizer()
        for update in range(1, training.updates + 1):
            random = streams.training(training.seed, self.replica, update)
            loss = self.loss(settings.task.sample(random, training.length, training.batch))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, training.clip)
            optimizer.step()
            yield float(loss.detach()), float(norm)


@pytest.mark.parametrize("kernel", ["torch", "auto", "stepwise"])
@pytest.mark.parametrize(("task", "cell", "recipe"), RECIPES)
def test_a_replica_goes_the_way_of_torch_nn_by_hand(task: str, cell: str, recipe: str, kernel: str) -> None:
    settings = small(task, cell, *recipe.split(), "training.updates=20", f"training.kernel={kernel}")
    curves: dict[int, dict[str, float]] = {}
    train(settings, [5], curves)
    hand = ByHand(settings, 5)
    for update, (loss, norm) in enumerate(hand.train(), start=1):
        assert curves[update]["loss/training"] == pytest.approx(loss, rel=1e-4), update
        assert curves[update]["gradient/norm"] == pytest.approx(norm, rel=2e-3), update
    held_out = draw(settings.task, settings.data.seed, settings.training.length, settings.data.held_out)
    assert curves[20]["score/held_out"] == pytest.approx(hand.score(held_out), rel=1e-3)
    assert curves[20]["loss/training"] != pytest.approx(curves[1]["loss/training"], rel=1e-3)  # it did train


@pytest.mark.parametrize("kernel", ["torch", "auto", "stepwise"])
def test_replicas_of_a_batch_do_not_influence_each_other(kernel: str) -> None:
    settings = small("adding", "gru", f"training.kernel={kernel}")
    together = train(settings, [3, 0, 11])
    for position, replica in enumerate([3, 0, 11]):
        assert_alike(together, position, train(settings, [replica]))


@pytest.mark.parametrize(("task", "cell", "recipe"), RECIPES)
def test_every_recipe_trains_replicas_apart(task: str, cell: str, recipe: str) -> None:
    settings = small(task, cell, *recipe.split())
    together = train(settings, [1, 0])
    assert not torch.equal(together.weights[0], together.weights[1])
    assert_alike(together, 1, train(settings, [0]))


@pytest.mark.parametrize(
    "optimizer", ["optimizer=adam optimizer.lr=0.01", "optimizer=sgd optimizer.lr=0.3 optimizer.momentum=0.9"]
)
def test_a_solved_replica_leaves_and_the_others_go_on_as_before(optimizer: str) -> None:
    goals = ["task.goal=0.66", "task.loose_goal=0.7", "training.updates=40", "training.batch=16"]
    settings = small("temporal_order", "gru", "data.held_out=200", *goals, *optimizer.split())
    replicas = range(13, 18)
    together = train(settings, replicas)
    left = np.array([outcome.updates_run for outcome in together.outcomes])
    assert left.min() + 15 <= left.max()  # one went on for long after another had left
    for position in {int(left.argmin()), int(left.argmax()), 2}:
        assert_alike(together, position, train(settings, [replicas[position]]), 1e-3)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_replica_that_diverges_ends_without_touching_the_others(
    monkeypatch: pytest.MonkeyPatch, broken: float
) -> None:
    settings = small("adding", "lstm", "training.updates=15")
    undisturbed = train(settings, [4, 8, 6])

    def poisoned(task: object, seed: int, replicas: list[int], update: int, *rest: object) -> Sequences:
        drawn = training_sequences(task, seed, replicas, update, *rest)  # type: ignore[arg-type]
        targets = drawn.targets.clone()
        if update == 7:
            targets[replicas.index(8)] = broken
        return replace(drawn, targets=targets)

    monkeypatch.setattr("pipeline.learning.replicas.training_sequences", poisoned)
    together = train(settings, [4, 8, 6])
    outcome = together.outcomes[1]
    assert (outcome.diverged, outcome.solved, outcome.updates_run) == (True, False, 7)
    assert outcome.best_score == pytest.approx(_score_after(settings, 8, 5), rel=1e-4)
    assert together.weights.isfinite().all()
    for position in (0, 2):
        assert not together.outcomes[position].diverged
        assert together.outcomes[position].updates_run == 15
        torch.testing.assert_close(together.weights[position], undisturbed.weights[position], rtol=0, atol=1e-4)


def _score_after(settings: Settings, replica: int, updates: int) -> float | None:
    shorter = replace(settings, training=replace(settings.training, updates=updates))
    return train(shorter, [replica]).outcomes[0].best_score


def test_a_huge_learning_rate_is_recorded_as_divergence() -> None:
    settings = small(
        "adding", "rnn", "optimizer=sgd", "optimizer.lr=1e30", "training.clip=inf", "training.probe_every=12"
    )
    result = train(settings, [0, 1])
    task, training = settings.task, settings.training
    begun, _ = models.begin(settings.cell, task.channels, task.outputs, training.seed, [0, 1])
    assert torch.equal(result.weights, begun)  # nothing better was seen
    for outcome in result.outcomes:
        assert outcome.diverged
        assert not outcome.solved
        assert outcome.best_score is None
        assert 1 < outcome.updates_run < 12


@pytest.mark.parametrize("error", [MemoryError(), None, torch.OutOfMemoryError("CUDA out of memory")])
def test_too_little_memory_is_a_sentence_that_names_what_could_be_less(error: Exception | None) -> None:
    said = r"^there is too little memory for length 60 with training.batch 32 and 8 replicas; "
    with pytest.raises(UserError, match=said), enough_memory(60, 32, 8):
        if error:
            raise error
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="a fault"), enough_memory(60, 32, 8):
        raise RuntimeError("a fault")
