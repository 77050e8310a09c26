"""What all rules share: a cell, small states and inputs, one step that leads to a state, and how a sentence begins."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getsourcefile
from typing import Any, NoReturn

import torch
from torch import Tensor

from pipeline.base.errors import UserError, first_line, where
from pipeline.cells.cell import Cell, State

SIZES = (3, 5, 7, 11)  # replicas and sequences: two of these, other than units and channels, so that no axes match


@dataclass(frozen=True)
class Trial:
    """A cell on trial."""

    cell: Cell
    channels: int
    replicas: int
    batch: int

    @classmethod
    def of(cls, cell: Cell, channels: int, length: int) -> "Trial":
        """Return the trial of a cell whose names and widths of parts are as they should be."""
        untied = cls(cell, channels, 0, 0)
        with untied.calling("for_length"):
            cell = cell.for_length(length)
        untied.must(isinstance(cell, Cell), f"for_length must return a cell; got {kind(cell)}")
        replicas, batch = [size for size in SIZES if size not in (cell.hidden, channels)][:2]
        trial, states = cls(cell, channels, replicas, batch), cell.states
        named = isinstance(states, tuple) and all(isinstance(name, str) for name in states) and states[:1] == ("h",)
        trial.must(
            named and len(set(states)) == len(states),
            f"states must be a tuple of different names that begins with 'h', which the readout sees; got {states!r}",
        )
        widths = cell.widths
        numbers = isinstance(widths, tuple) and all(isinstance(width, int) and width > 0 for width in widths)
        trial.must(
            numbers and len(widths) == len(states),
            f"widths must be a tuple of a number of units for each of {', '.join(states)}; got {widths!r}",
        )
        return trial

    def fail(self, text: str) -> NoReturn:
        """Raise `UserError` that names the cell."""
        raise UserError(f"cell {type(self.cell).__name__}: {text}")

    def must(self, kept: bool, text: str) -> None:
        """Raise `UserError` unless the rule is kept."""
        if not kept:
            self.fail(text)

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Say in one sentence, with file and line, what an exception of the cell's own code says."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            place = where(error, getsourcefile(type(self.cell)))
            self.fail(f"{what} fails with {type(error).__name__}: {first_line(error)} ({place})")

    @contextmanager
    def leaving_global_random_numbers(self, method: str) -> Iterator[None]:
        """See that torch's global generator is neither drawn from nor set; others show when a call is repeated."""
        before = torch.get_rng_state()
        yield
        self.must(
            torch.equal(before, torch.get_rng_state()),
            f"{method} must leave torch's global random numbers alone (no dropout, no seeding); runs could not be "
            "repeated",
        )

    def ready(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what `forward` reads, if it is as it should be."""
        like = next(iter(weights.values()))
        before = {name: (weight._version, weight.clone()) for name, weight in weights.items()}
        with self.calling("materialise"):
            ready: Any = self.cell.materialise(weights)
        self.must(
            isinstance(ready, Mapping) and all(isinstance(weight, Tensor) for weight in ready.values()),
            f"materialise must return a dict of tensors by name; got {kind(ready)}",
        )
        for name, (version, copy) in before.items():
            same = weights[name]._version == version and torch.equal(weights[name], copy)
            self.must(same, f"materialise must change nothing that comes in; it changes {name!r} in place")
        for name, weight in ready.items():
            self.must(
                weight.dtype == like.dtype and weight.shape[:1] == like.shape[:1],
                f"materialise must keep the type {like.dtype} and the first axis, of {len(like)} replicas; {name!r} is "
                f"{weight.dtype} {list(weight.shape)}",
            )
        return dict(ready)

    def start(self, ready: Mapping[str, Tensor]) -> State:
        """Return the state before the first step, if it is one."""
        replicas = len(next(iter(ready.values())))
        with self.calling("initial"):
            state: Any = self.cell.start(ready, self.batch)
        for name, width, part in zip(self.cell.states, self.cell.widths, state, strict=True):
            self.must(
                part.shape == (replicas, self.batch, width) and part.dtype == next(iter(ready.values())).dtype,
                f"initial must return parts [replica, batch or 1, width] in the type of the weights; {name!r} is "
                f"{part.dtype} {list(part.shape)}",
            )
        return tuple(part.clone() for part in state)

    def input(self, step: int, like: Tensor, channels: int | None = None) -> Tensor:
        """Return the input of a step, in the type of `like`, of other channels than the cell's where some are given."""
        generator = torch.Generator().manual_seed(step)
        return torch.randn(self.replicas, self.batch, channels or self.channels, generator=generator).to(like)

    def step(self, weights: Mapping[str, Tensor], state: State, input: Tensor, hint: str = "") -> State:
        """Return the next state, if it is one."""
        with self.calling(f"forward{hint}"):
            after: Any = self.cell.forward(weights, state, input)
        names = ", ".join(self.cell.states)
        rule = f"forward must return a tuple with the part{'s' * (len(state) > 1)} {names} of the next state"
        self.must(isinstance(after, tuple), f"{rule}; got {kind(after)}")
        self.must(len(after) == len(state), f"{rule}; got a tuple of {len(after)}")
        for name, before, part in zip(self.cell.states, state, after, strict=True):
            self.must(isinstance(part, Tensor), f"{rule}; {name!r} is {kind(part)}")
            self.must(
                part.shape == before.shape,
                f"forward must keep the shape of a part, [replica, batch, unit]; {name!r} was {list(before.shape)} "
                f"and is {list(part.shape)}",
            )
            self.must(
                part.dtype == before.dtype,
                f"forward must stay in the type of the weights, here {before.dtype}; {name!r} is {part.dtype}",
            )
        result: State = after
        return result


def kind(value: object) -> str:
    """Return what something is, in words: `a list`, `a tensor`, `None`."""
    if value is None:
        return "None"
    return "a tensor" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    """Return True if two tensors differ by rounding alone, wherever the second is finite."""
    scale = other.abs().amax().clamp(min=1.0)
    return bool((((one - other).abs() <= tolerance * scale) | (one == other) | ~other.isfinite()).all())
