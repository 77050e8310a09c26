"""The training loop: replicas side by side, each ends when it solves its task, diverges, or has spent its budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from pipeline.kernels.workspace import Trace
from pipeline.learning.batches import Sequences
from pipeline.learning.inspection import Inspector
from pipeline.learning.model import Model
from pipeline.learning.objective import Objective
from pipeline.learning.optimizer import MakeOptimizer, clip, narrowed
from pipeline.learning.options import Training
from pipeline.learning.recipes import PerReplica
from pipeline.learning.recorder import Recorder
from pipeline.learning.regularizer import add_gradient
from pipeline.learning.scoreboard import Scoreboard

CHUNK = 250  # held-out sequences scored at once: more costs memory and gains no speed
AHEAD = 10  # updates whose sequences are drawn at once, see `Feed`
ROOM = 2**24  # bytes of sequences that wait, at most; one update's are always held


@dataclass(frozen=True)
class Problem:
    """What is learned: sequences for each update, held-out ones, and how an answer is judged."""

    draw: Callable[[Int64[ndarray, " running"], int], Sequences]  # (positions of the replicas that run, update)
    held_out: Callable[[int], Sequences]  # (number of replicas)
    objective: Objective
    answers: int  # last steps that carry a target


@dataclass
class Feed:
    """The sequences of one update after the other, drawn for some updates at once.

    Passes through long sequences leave nothing of the code that draws in the processor's caches, so that a draw after
    an update takes longer than one that follows another (tests/benchmarks/overhead.py says how much).
    """

    problem: Problem
    training: Training
    waiting: dict[int, Sequences] = field(default_factory=dict)  # by update
    drawn: Int64[ndarray, " replica"] = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # for whom

    def take(self, running: Int64[ndarray, " running"], update: int) -> Sequences:
        """The sequences of this update; those for replicas that have ended since they were drawn are left out."""
        if update not in self.waiting:
            self.draw(running, update)
        sequences = self.waiting.pop(update)
        if len(running) < len(self.drawn):
            kept = torch.from_numpy(np.flatnonzero(np.isin(self.drawn, running))).to(sequences.inputs.device)
            sequences = Sequences(sequences.inputs[kept], sequences.targets[kept])
        return sequences

    def draw(self, running: Int64[ndarray, " running"], update: int) -> None:
        """Draw from this update on, up to the next probe at most, for there replicas end."""
        every = self.training.probe_every
        last = min(update + AHEAD - 1, -(-update // every) * every, self.training.updates)
        self.drawn, self.waiting, room = running, {}, ROOM
        for each in range(update, last + 1):
            if room <= 0:
                break
            self.waiting[each] = sequences = self.problem.draw(running, each)
            room -= sequences.inputs.nbytes


@dataclass(frozen=True)
class Step:
    """What one update showed, one number a replica; log2 norms through time for each part of the state."""

    losses: Float[Tensor, " replica"]
    norms: Float[Tensor, " replica"]  # of the whole gradient, before clipping
    log2_norms: Mapping[str, Float[Tensor, "replica time"]]

    def finite(self) -> ndarray:
        """Which replicas had a finite loss and gradient."""
        kept: ndarray = (self.losses.isfinite() & self.norms.isfinite()).cpu().numpy()
        return kept


def fit(
    model: Model,
    make_optimizer: MakeOptimizer,
    problem: Problem,
    training: Training,
    board: Scoreboard,
    recorder: Recorder,
    inspector: Inspector,
) -> Float[Tensor, "replica weight"]:
    """Train until no replica runs; `board` and `recorder` are filled, and the best weights of each are returned."""
    optimizer, best, feed = make_optimizer([model.rows]), model.rows.detach().clone(), Feed(problem, training)
    for update in range(1, training.updates + 1):
        running = board.running
        sequences = feed.take(running, update)
        inspector.before(update, model.rows)
        step = one_update(model, optimizer, problem, sequences, training.clip, training.regularizer)
        inspector.after(update, running, model, sequences)
        recorder.update(update, running, _array(step.losses), _array(step.norms), partial(_arrays, step.log2_norms))
        board.finish_update(step.finite())
        model, optimizer = narrow(model, make_optimizer, optimizer, running, board.running)
        if board.running.size and (update % training.probe_every == 0 or update == training.updates):
            probed, scores = board.running, evaluate(model, problem)
            improved = board.probe(update, scores)
            best[improved] = model.rows.detach()[np.isin(probed, improved)]
            recorder.probe(
                update, probed, scores, board.best.min(), int((board.reached[0] > 0).sum()), board.running.size
            )
            model, optimizer = narrow(model, make_optimizer, optimizer, probed, board.running)
        if not board.running.size:
            break
    return best


def one_update(
    model: Model,
    optimizer: torch.optim.Optimizer,
    problem: Problem,
    sequences: Sequences,
    largest: float,
    regularizer: float = 0.0,
) -> Step:
    """Forward, backward through all of time, add that of the regularizer, clip each replica's gradient, and step."""
    replicas, time, batch = sequences.inputs.shape[:3]
    norms = {name: torch.empty(replicas, time, device=model.rows.device) for name in model.cell.states}
    trace = Trace.of(model.rows, replicas, time, batch, model.cell.hidden) if regularizer else None
    losses = model.gradient(sequences.inputs, sequences.targets, problem.answers, problem.objective, norms, trace)
    assert model.rows.grad is not None
    if trace is not None:
        add_gradient(model, trace, regularizer)
        trace.give_back()
    step = Step(losses, clip(model.rows.grad, largest), norms)
    optimizer.step()
    return step


@torch.no_grad()
def evaluate(model: Model, problem: Problem) -> Float[ndarray, " replica"]:
    """The score of each replica on all held-out sequences."""
    held_out = problem.held_out(len(model.rows))
    parts = zip(held_out.inputs.split(CHUNK, dim=2), held_out.targets.split(CHUNK, dim=2), strict=True)
    total = sum(
        problem.objective.score(model(inputs, problem.answers), targets) * inputs.shape[2] for inputs, targets in parts
    )
    return _array(torch.as_tensor(total)) / held_out.inputs.shape[2]


def narrow(
    model: Model, make: MakeOptimizer, optimizer: torch.optim.Optimizer, before: ndarray, after: ndarray
) -> tuple[Model, torch.optim.Optimizer]:
    """Model and optimizer of the replicas that still run; the time of an update falls with them."""
    if len(after) in (0, len(before)):
        return model, optimizer
    kept = torch.from_numpy(np.flatnonzero(np.isin(before, after))).to(model.rows.device)
    if isinstance(optimizer, PerReplica):
        optimizer, rows = optimizer.narrowed(kept)
    else:
        optimizer, rows = narrowed(make, optimizer, model.rows, kept)
    return replace(model, rows=rows), optimizer


def _array(tensor: Tensor) -> ndarray:
    array: ndarray = tensor.cpu().numpy()
    return array


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, ndarray]:
    return {name: _array(tensor) for name, tensor in tensors.items()}
