"""One trial: replicas of one cell on one task at one length, from fresh weights to their outcomes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pipeline.base.errors import require
from pipeline.base.numbers import finite
from pipeline.cells.cell import Cell
from pipeline.learning import gradients
from pipeline.learning import model as models
from pipeline.learning.batches import shared_sequences, steps_trained, training_sequences
from pipeline.learning.fit import Problem, evaluate, fit
from pipeline.learning.inspection import Inspector
from pipeline.learning.objective import objective
from pipeline.learning.optimizer import MakeOptimizer
from pipeline.learning.options import Training
from pipeline.learning.recorder import Recorder, Watch
from pipeline.learning.scoreboard import Hopeless, Outcome, Scoreboard, never
from pipeline.learning.signature import evidence, signature
from pipeline.tasks.task import Batch, Task

CLEARLY = 0.8
"""A held-out score below this share of chance is clearly better than chance: the replica has left its plateau.

By how many standard deviations a score that ignores the input misses it, with 1 000 sequences: a share p of wrong
answers spreads by sqrt(p (1 - p) / 1 000), so .2 p is 4.7 of them at p = .36 (adding and multiplication with a
tolerance), 6.3 at 1/2 (parity, latch, random permutation), 11 at 3/4 (temporal order) and more above (copy,
memorization); for the squared error of a sum of two uniform numbers (adding) it is 5.3. So a run of 40 probes leaves by
luck less than once in 10 000. It lies above every task's goals.
"""


@dataclass(frozen=True)
class Attempt:
    """What a trial showed."""

    outcomes: list[Outcome]
    recorder: Recorder
    layout: models.Layout
    weights: Float[Tensor, "replica weight"]  # the best of each replica, see `layout.views`
    cost: int  # replica x updates x length that were run
    probed: list[int]  # updates at which held-out scores were taken
    curves: list[list[float]]  # those scores, for each replica as long as it ran


def attempt(
    task: Task,
    cell: Cell,
    make_optimizer: MakeOptimizer,
    training: Training,
    held_out: Batch,
    replicas: Sequence[int],
    watch: Watch = lambda update, figures: None,
    hopeless: Hopeless = never,
    begins: Sequence[Cell] = (),
) -> Attempt:
    """Train `replicas` (their names are their seeds) at `training.length`; deterministic for one machine kind.

    `begins` are cells, one a replica, whose weights they begin with, where these are to differ.
    """
    for name, length in (("length", training.length), ("shortest", training.shortest)):
        long_enough = length is None or length >= task.shortest
        require(long_enough, f"training.{name}", f"must be at least {task.shortest} for this task", length)
    not_above = training.shortest is None or training.shortest <= training.length
    require(not_above, "training.shortest", f"must be at most the length {training.length}", training.shortest)
    require_device(training.device)
    torch.set_num_threads(1)  # more make small steps slower, and much slower on a busy machine
    torch.set_flush_denormal(True)
    rows, layout = models.begin(begins or cell, task.channels, task.outputs, training.seed, replicas)
    rows = rows.to(training.device).requires_grad_()
    model = models.Model(cell, layout, rows, training.kernel, training.threads or cores())
    board = Scoreboard(len(replicas), task.goal, task.loose_goal, hopeless)
    recorder = Recorder(training.record_every, task.answers, training.clip, watch, CLEARLY * task.chance)
    posed = problem(task, training, replicas, held_out)
    inspector = Inspector(training.inspect_every, training.updates, task.channels, posed.objective, recorder.inspection)
    weights = fit(model, make_optimizer, posed, training, board, recorder, inspector)
    outcomes = [explained(row, position, recorder) for position, row in enumerate(board.outcomes(list(replicas)))]
    ran = [outcome.updates_run for outcome in outcomes]
    cost = sum(steps_trained(training.seed, updates, training.shortest, training.length) for updates in ran)
    return Attempt(outcomes, recorder, layout, weights.cpu(), cost, board.probed, board.curves)


def scores(task: Task, cell: Cell, training: Training, done: Attempt, sequences: Batch) -> Float[ndarray, " replica"]:
    """The score of each replica's best weights on other sequences, of any length."""
    rows = done.weights.to(training.device)
    model = models.Model(cell, done.layout, rows, training.kernel, training.threads or cores())
    return evaluate(model, problem(task, training, (), sequences))


def problem(task: Task, training: Training, replicas: Sequence[int], held_out: Batch) -> Problem:
    """What is learned, and how it is judged."""
    return Problem(
        draw=lambda running, update: training_sequences(
            task,
            training.seed,
            [replicas[p] for p in running],
            update,
            training.length,
            training.batch,
            training.device,
            training.shortest,
        ),
        held_out=lambda running: shared_sequences(held_out, running, training.device),
        objective=objective(task.kind),
        answers=task.answers,
    )


def explained(outcome: Outcome, position: int, recorder: Recorder) -> Outcome:
    """The outcome of a replica with what the gradient says about it."""
    norms, left = recorder.norms_of(position), recorder.exits.get(position)
    init = gradients.decay(norms[0][None], recorder.answers)
    seen = evidence(norms, recorder.answers, outcome.diverged, recorder.first[position], recorder.latest[position])
    return replace(
        outcome,
        updates_to_exit=left.update if left else None,
        decay_init=finite(float(init[0])),
        decay_exit=finite(left.decay) if left else None,
        signature=None if outcome.solved else signature(seen),
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_device(device: str) -> None:
    """Raise `UserError` where the device is not there."""
    require(
        device == "cpu" or torch.cuda.is_available(),
        "training.device",
        "must be there; this machine has no CUDA",
        device,
    )
