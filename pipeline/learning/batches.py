"""Labelled sequences as tensors: fresh ones for each update, and the held-out ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.random import Generator
from torch import Tensor

from pipeline.data import streams
from pipeline.tasks.task import Batch, Task, drawn_length


@dataclass(frozen=True)
class Sequences:
    """Inputs (replica, time, batch, channel), or (replica, time, batch) where they are symbols, and their targets."""

    inputs: Shaped[Tensor, "replica time batch ..."]
    targets: Shaped[Tensor, "replica answer batch ..."]


def training_sequences(
    task: Task,
    seed: int,
    replicas: Sequence[int],
    update: int,
    length: int,
    batch: int,
    device: str,
    shortest: int | None = None,
) -> Sequences:
    """The batches of one update. Each is a pure function of (seed, replica, update), whoever else is in the batch.

    A length that is drawn, here or by the task, is drawn once an update: the replicas see the same lengths.
    """
    random = streams.training_length(seed, update)
    length = drawn_length(task, random, length_between(random, shortest, length))
    return _stack([task.sample(streams.training(seed, r, update), length, batch) for r in replicas], device)


def length_between(random: Generator, shortest: int | None, longest: int) -> int:
    """The length of one update, uniform from `shortest` to `longest`; None: always the longest, nothing is drawn."""
    return longest if shortest is None else int(random.integers(shortest, longest + 1))


def steps_trained(seed: int, updates: int, shortest: int | None, longest: int) -> int:
    """The lengths of the first `updates` updates, summed up."""
    if shortest is None:
        return longest * updates
    drawn = (streams.training_length(seed, update) for update in range(1, updates + 1))
    return sum(length_between(random, shortest, longest) for random in drawn)


def shared_sequences(batch: Batch, replicas: int, device: str) -> Sequences:
    """The same sequences for every replica, without copies."""
    one = _stack([batch], device)
    return Sequences(*(part.expand(replicas, *part.shape[1:]) for part in (one.inputs, one.targets)))


def _stack(batches: Sequence[Batch], device: str) -> Sequences:
    inputs = torch.from_numpy(np.stack([batch.inputs for batch in batches]))
    targets = torch.from_numpy(np.stack([batch.targets for batch in batches]))
    return Sequences(inputs.to(device), targets.to(device))
