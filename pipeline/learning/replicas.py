"""Replicas of one cell on one task at one length, from fresh weights to their outcomes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from pipeline.base.errors import UserError, require
from pipeline.base.numbers import finite
from pipeline.cells.cell import Cell
from pipeline.learning import gradients
from pipeline.learning import model as models
from pipeline.learning.batches import Sequences, shared_sequences, steps_trained, training_sequences
from pipeline.learning.fit import Problem, evaluate, fit
from pipeline.learning.groups import grouped
from pipeline.learning.inspection import Inspector
from pipeline.learning.objective import objective
from pipeline.learning.optimizer import MakeOptimizer
from pipeline.learning.options import TrainingOptions
from pipeline.learning.recorder import Recorder, Watch, ignore_progress
from pipeline.learning.scoreboard import Outcome, Scoreboard, StopRule, never_stop
from pipeline.learning.signature import evidence, signature
from pipeline.tasks.task import Batch, Task

ALLOCATOR = "can't allocate memory"  # what torch says on the CPU
CLEARLY = 0.8
"""A held-out score below this share of chance is clearly better than chance: the replica has left its plateau.

By how many standard deviations a score that ignores the input misses it, with 1 000 sequences: a share p of wrong
answers spreads by sqrt(p (1 - p) / 1 000), so .2 p is 4.7 of them at p = .36 (adding and multiplication with a
tolerance), 6.3 at 1/2 (parity, latch, random permutation), 11 at 3/4 (temporal order) and more above (copy,
memorization); for the squared error of a sum of two uniform numbers (adding) it is 5.3. So a run of 40 probes leaves by
luck less than once in 10 000. It lies above every task's goals. A probe looks at all sequences where the score of the
first ones is below it, see learning.first_look: a replica close to it may be seen to leave at a later probe.
"""


@dataclass(frozen=True)
class TrainedReplicas:
    """The result of training some replicas at one length."""

    length: int
    outcomes: list[Outcome]
    recorder: Recorder
    layout: models.Layout
    weights: Float[Tensor, "replica weight"]  # the best of each replica, see `layout.views`
    cost: int  # replica x updates x length that was run
    probed: list[int]  # updates at which held-out scores were taken
    curves: list[list[float]]  # those scores, for each replica as long as it ran


def train_replicas(
    task: Task,
    cell: Cell,
    make_optimizer: MakeOptimizer,
    options: TrainingOptions,
    length: int,
    seeds: Sequence[int],
    held_out: Batch,
    watch: Watch = ignore_progress,
    stop: StopRule = never_stop,
    begins: Sequence[Cell] = (),
    sequences_seed: int | None = None,
) -> TrainedReplicas:
    """Train one replica for each of `seeds` at one length; deterministic for one machine kind.

    `length` and `seeds` take the place of those in the options. `begins` are cells, one a replica, whose weights they
    begin with, where these are to differ. `sequences_seed` takes the place of the options' seed for the training
    sequences alone. Raises `UserError` where these do not fit together, or the memory ends.
    """
    require_fit(task, options, length)
    torch.set_num_threads(1)  # more make small steps slower, and much slower on a busy machine
    torch.set_flush_denormal(True)
    cell, begins = cell.for_length(length), [each.for_length(length) for each in begins]
    rows, layout = models.begin(begins or cell, task.channels, task.outputs, options.seed, seeds)
    rows = rows.to(options.device).requires_grad_()
    make_optimizer = grouped(make_optimizer, layout.shapes, begins or [cell])
    model = models.Model(cell, layout, rows, options.kernel, options.threads or cores(), task.channels)
    board = Scoreboard(len(seeds), task.goal, task.loose_goal, stop)
    recorder = Recorder(options.record_every, task.answers, options.clip, watch, CLEARLY * task.chance)
    drawn = options if sequences_seed is None else replace(options, seed=sequences_seed)
    posed = problem(task, drawn, length, seeds, held_out)
    inspector = Inspector(options.inspect_every, options.updates, task.channels, posed.objective, recorder.inspection)
    with enough_memory(length, options.batch, len(seeds)):
        weights = fit(model, make_optimizer, posed, options, board, recorder, inspector)
    outcomes = [explained(row, position, recorder, task.chance) for position, row in enumerate(board.outcomes(seeds))]
    ran = [outcome.updates_run for outcome in outcomes]
    cost = sum(steps_trained(drawn.seed, updates, options.shortest, length) for updates in ran)
    return TrainedReplicas(length, outcomes, recorder, layout, weights.cpu(), cost, board.probed, board.curves)


def scores(
    task: Task, cell: Cell, options: TrainingOptions, done: TrainedReplicas, sequences: Batch
) -> Float[ndarray, " replica"]:
    """Return the score of each replica's best weights on other sequences, of any length."""
    cell, rows = cell.for_length(done.length), done.weights.to(options.device)
    model = models.Model(cell, done.layout, rows, options.kernel, options.threads or cores(), task.channels)
    return evaluate(model, problem(task, options, done.length, (), sequences))


def problem(task: Task, options: TrainingOptions, length: int, seeds: Sequence[int], held_out: Batch) -> Problem:
    """Return what is learned, and how it is judged."""

    def draw(running: Int64[ndarray, " running"], update: int) -> Sequences:
        own = [seeds[position] for position in running]
        batch, device, shortest = options.batch, options.device, options.shortest
        return training_sequences(task, options.seed, own, update, length, batch, device, shortest)

    return Problem(
        draw=draw,
        held_out=lambda replicas: shared_sequences(held_out, replicas, options.device),
        objective=objective(task.kind),
        answers=task.answers,
    )


def explained(outcome: Outcome, position: int, recorder: Recorder, chance: float) -> Outcome:
    """Return the outcome of a replica with what the gradient says about it."""
    norms, left = recorder.norms_of(position), recorder.exits.get(position)
    init = gradients.decay(norms[0][None], recorder.answers)
    worse = (outcome.best_score or 0.0) / max(chance, float(recorder.first_losses[position]))
    first, last = recorder.first[position], recorder.latest[position]
    seen = evidence(norms, recorder.answers, outcome.diverged, first, last, worse)
    return replace(
        outcome,
        updates_to_exit=left.update if left else None,
        decay_init=finite(float(init[0])),
        decay_exit=finite(left.decay) if left else None,
        signature=None if outcome.solved else signature(seen),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def enough_memory(length: int, batch: int, replicas: int) -> Iterator[None]:
    """Raise `UserError` where a training needs more memory than this machine, its GPU or a limit gives it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or ALLOCATOR in str(error)):
            raise
        asked = f"length {length} with training.batch {batch} and {replicas} replicas"
        raise UserError(f"there is too little memory for {asked}; fewer of one of them need less") from error


def require_fit(task: Task, options: TrainingOptions, length: int) -> None:
    """Raise `UserError` where the task has no such length, or this machine no such device."""
    for name, steps in (("length", length), ("shortest", options.shortest)):
        long_enough = steps is None or steps >= task.shortest
        require(long_enough, f"training.{name}", f"must be at least {task.shortest} for this task", steps)
    not_above = options.shortest is None or options.shortest <= length
    require(not_above, "training.shortest", f"must be at most the length {length}", options.shortest)
    there = options.device == "cpu" or torch.cuda.is_available()
    require(there, "training.device", "must be there; this machine has no CUDA", options.device)
