"""The training loop: replicas side by side, each ends when it solves its task, diverges, or has spent its budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pipeline.kernels.workspace import Trace
from pipeline.learning import probing
from pipeline.learning.batches import Draw, Feed, Sequences
from pipeline.learning.first_look import Scores, Wanted
from pipeline.learning.groups import Grouped
from pipeline.learning.inspection import Inspector
from pipeline.learning.model import Model
from pipeline.learning.objective import Objective
from pipeline.learning.optimizer import MakeOptimizer, clip, narrowed
from pipeline.learning.options import TrainingOptions
from pipeline.learning.recipes import PerReplica
from pipeline.learning.recorder import Recorder
from pipeline.learning.regularizer import add_gradient
from pipeline.learning.scoreboard import Scoreboard, rows_of


@dataclass(frozen=True)
class Problem:
    """The sequences that are learned, the held-out ones, and how an answer is judged."""

    draw: Draw
    held_out: Callable[[int], Sequences]  # (number of replicas)
    objective: Objective
    answers: int  # last steps that carry a target


@dataclass(frozen=True)
class Step:
    """The figures of one update, one number a replica; log2 norms through time for each part of the state."""

    losses: Float[Tensor, " replica"]
    norms: Float[Tensor, " replica"]  # of the whole gradient, before clipping
    log2_norms: Mapping[str, Float[Tensor, "replica time"]]

    def finite(self) -> ndarray:
        """Return a boolean for each replica: True if its loss and gradient are finite."""
        kept: ndarray = (self.losses.isfinite() & self.norms.isfinite()).cpu().numpy()
        return kept


def fit(
    model: Model,
    make_optimizer: MakeOptimizer,
    problem: Problem,
    options: TrainingOptions,
    board: Scoreboard,
    recorder: Recorder,
    inspector: Inspector,
) -> Float[Tensor, "replica weight"]:
    """Train until no replica runs; `board` and `recorder` are filled, and the best weights of each are returned."""
    optimizer, best = make_optimizer([model.rows]), model.rows.detach().clone()
    feed = Feed(problem.draw, options.probe_every, options.updates)
    for update in range(1, options.updates + 1):
        running = board.running
        sequences = feed.take(running, update)
        inspector.before(update, model.rows)
        step = one_update(model, optimizer, problem, sequences, options.clip, options.regularizer)
        inspector.after(update, running, model, sequences)
        recorder.update(update, running, _array(step.losses), _array(step.norms), partial(_arrays, step.log2_norms))
        board.finish_update(step.finite())
        model, optimizer = narrow(model, make_optimizer, optimizer, running, board.running)
        if board.running.size and (update % options.probe_every == 0 or update == options.updates):
            probed, found = board.running, probe(model, problem, _wanted(update, options, board, recorder))
            improved = board.probe(update, found)
            best[improved] = model.rows.detach()[rows_of(probed, improved)]
            recorder.probe(update, probed, found, int((board.reached[0] > 0).sum()), board.running.size)
            model, optimizer = narrow(model, make_optimizer, optimizer, probed, board.running)
        if not board.running.size:
            break
    partly = board.scored_on_a_part(problem.held_out(1).inputs.shape[2])
    if partly.size:
        board.best[partly] = evaluate(replace(model, rows=best[torch.from_numpy(partly)]), problem)
    return best


def _wanted(update: int, options: TrainingOptions, board: Scoreboard, recorder: Recorder) -> Wanted:
    """Return what the probe at this update has to find out; the last one scores all on all sequences."""
    probes = -(-options.updates // options.probe_every)
    return Wanted(board.goals_left(), recorder.watched(board.running), probes, update == options.updates)


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
    model.project()
    return step


def probe(model: Model, problem: Problem, wanted: Wanted) -> Scores:
    """Return the score of each replica on held-out sequences, on all of them where they may decide something."""
    return probing.probe(model, problem.held_out(len(model.rows)), problem.objective, problem.answers, wanted)


def evaluate(model: Model, problem: Problem) -> Float[ndarray, " replica"]:
    """Return the score of each replica on all held-out sequences."""
    return probing.evaluate(model, problem.held_out(len(model.rows)), problem.objective, problem.answers)


def narrow(
    model: Model, make: MakeOptimizer, optimizer: torch.optim.Optimizer, before: ndarray, after: ndarray
) -> tuple[Model, torch.optim.Optimizer]:
    """Return model and optimizer of the replicas that still run, so that an update takes less time.

    `before` and `after` are the positions of those that ran and of those that run.
    """
    if len(after) in (0, len(before)):
        return model, optimizer
    kept = torch.from_numpy(rows_of(before, after)).to(model.rows.device)
    if isinstance(optimizer, PerReplica | Grouped):
        optimizer, rows = optimizer.narrowed(kept)
    else:
        optimizer, rows = narrowed(make, optimizer, model.rows, kept)
    return replace(model, rows=rows), optimizer


def _array(tensor: Tensor) -> ndarray:
    array: ndarray = tensor.cpu().numpy()
    return array


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, ndarray]:
    return {name: _array(tensor) for name, tensor in tensors.items()}
