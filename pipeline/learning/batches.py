"""Labelled sequences as tensors: fresh ones for each update, and the held-out ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from numpy import ndarray
from numpy.random import Generator
from torch import Tensor

from pipeline.data import streams
from pipeline.learning.scoreboard import rows_of
from pipeline.tasks.task import Batch, Task, drawn_length

AHEAD = 10  # updates whose sequences are drawn at once, see `Feed`
ROOM = 2**24  # bytes of sequences that wait, at most; one update's are always held


@dataclass(frozen=True)
class Sequences:
    """Inputs (replica, time, batch, channel), or (replica, time, batch) if they are symbols, and their targets."""

    inputs: Shaped[Tensor, "replica time batch ..."]
    targets: Shaped[Tensor, "replica answer batch ..."]

    def of(self, rows: Int64[ndarray, " kept"]) -> "Sequences":
        """Return those of some replicas."""
        kept = torch.from_numpy(rows).to(self.inputs.device)
        return Sequences(self.inputs[kept], self.targets[kept])


Draw = Callable[[Int64[ndarray, " running"], int], Sequences]  # (positions of the replicas that run, update)


@dataclass
class Feed:
    """The sequences of one update after the other, drawn for several updates at once.

    A pass through long sequences evicts the code that draws from the processor's caches, so a draw that follows an
    update takes longer than one that follows a draw (tests/benchmarks/overhead.py measures it). It draws up to the next
    probe at most, because replicas end there.
    """

    draw: Draw
    probe_every: int
    updates: int  # the budget
    waiting: dict[int, Sequences] = field(default_factory=dict)  # by update
    drawn: Int64[ndarray, " replica"] = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # for whom

    def take(self, running: Int64[ndarray, " running"], update: int) -> Sequences:
        """Return the sequences of this update, without those of replicas that ended since they were drawn."""
        if update not in self.waiting:
            self._draw_ahead(running, update)
        sequences = self.waiting.pop(update)
        return sequences if len(running) == len(self.drawn) else sequences.of(rows_of(self.drawn, running))

    def _draw_ahead(self, running: Int64[ndarray, " running"], update: int) -> None:
        last = min(update + AHEAD - 1, -(-update // self.probe_every) * self.probe_every, self.updates)
        self.drawn, self.waiting, room = running, {}, ROOM
        for each in range(update, last + 1):
            if room <= 0:
                break
            self.waiting[each] = sequences = self.draw(running, each)
            room -= sequences.inputs.nbytes


def training_sequences(
    task: Task,
    seed: int,
    seeds: Sequence[int],
    update: int,
    length: int,
    batch: int,
    device: str,
    shortest: int | None = None,
) -> Sequences:
    """Return the batches of one update, one for each of the replicas' `seeds`.

    Each is a pure function of (seed, that of the replica, update), whoever else is in the batch. A length that is
    drawn, here or by the task, is drawn once an update: the replicas see the same lengths.
    """
    random = streams.training_length(seed, update)
    length = drawn_length(task, random, length_between(random, shortest, length))
    return _stack([task.sample(streams.training(seed, own, update), length, batch) for own in seeds], device)


def length_between(random: Generator, shortest: int | None, longest: int) -> int:
    """Return the length of one update, uniform from `shortest` to `longest`; None: the longest, nothing is drawn."""
    return longest if shortest is None else int(random.integers(shortest, longest + 1))


def steps_trained(seed: int, updates: int, shortest: int | None, longest: int) -> int:
    """Return the sum of the lengths of the first `updates` updates."""
    if shortest is None:
        return longest * updates
    drawn = (streams.training_length(seed, update) for update in range(1, updates + 1))
    return sum(length_between(random, shortest, longest) for random in drawn)


def shared_sequences(batch: Batch, replicas: int, device: str) -> Sequences:
    """Return the same sequences for every replica, without copies."""
    one = _stack([batch], device)
    return Sequences(*(part.expand(replicas, *part.shape[1:]) for part in (one.inputs, one.targets)))


def _stack(batches: Sequence[Batch], device: str) -> Sequences:
    inputs = torch.from_numpy(np.stack([batch.inputs for batch in batches]))
    targets = torch.from_numpy(np.stack([batch.targets for batch in batches]))
    return Sequences(inputs.to(device), targets.to(device))
