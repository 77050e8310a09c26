"""Whether parts can be made, and fit the other settings and this machine; what is cheap to see comes first."""

from collections.abc import Callable, Collection
from typing import Any

from pipeline.base.errors import UserError, first_line, require
from pipeline.settings import memory
from pipeline.settings.places import PARTS
from pipeline.settings.schema import Settings

MOST = 1024  # processes and threads that an executor may be asked for


def check_parts(settings: Settings, used: Collection[str] = PARTS) -> None:
    """Raise `UserError` where a part that is used can't be made, or does not fit the other settings or this machine."""
    if "task" in used:
        _require_long_enough(settings)
        _require_room_for_held_out(settings)
    if "executor" in used:
        _require_few(settings.part("executor"))
    if "optimizer" in used:
        _require_rate(settings.parts["optimizer"].get("lr"))
    if "cell" in used:  # torch from here on
        _require_sound(settings)
        _require_room_for_training(settings)
    if "optimizer" in used:
        _require_optimizer(settings.optimizer)


def _require_long_enough(settings: Settings) -> None:
    task, training = settings.task, settings.training
    for name, length in (
        ("training.length", training.length),
        ("training.shortest", training.shortest or task.shortest),
        *(("training.test_lengths", each) for each in training.test_lengths),
        ("search.length_min", settings.search.length_min),
    ):
        rule = f"must be at least {task.shortest} for the task {settings.names['task']}"
        require(length >= task.shortest, name, rule, length)


def _require_few(executor: Any) -> None:
    for name in ("workers", "threads"):
        count = getattr(executor, name, 1)
        require(count <= MOST, f"executor.{name}", f"must be at most {MOST}", count)


def _require_sound(settings: Settings) -> None:
    """Raise `UserError` where the cell does not do what every cell must, or has no regularizer that it is asked for."""
    cell = settings.cell
    from pipeline.cells.check import require_sound
    from pipeline.learning.regularizer import require_served

    require_sound(cell, settings.task.channels, settings.training.length)
    require_served(settings.training.regularizer, cell)


def _require_rate(rate: Any) -> None:
    """Raise `UserError` for a learning rate at which nothing, or the opposite, is learned; torch takes 0."""
    number = isinstance(rate, int | float)  # else the class of the optimizer says what it must be
    require(not number or rate > 0, "optimizer.lr", "must be above 0", rate)


def _require_optimizer(make: Callable[..., Any]) -> None:
    """Raise `UserError` where torch can't use the optimizer, whatever it says then."""
    from pipeline.learning.optimizer import require_rowwise

    try:
        require_rowwise(make)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"optimizer can't be used: {first_line(error)}") from error


def _require_room_for_held_out(settings: Settings) -> None:
    count = settings.data.held_out
    for name, length in (
        ("training.length", settings.training.length),
        _longest(settings),
        *(("training.test_lengths", each) for each in settings.training.test_lengths),
    ):
        memory.require_room(memory.held_out(settings.task, length, count), {"data.held_out": count, name: length})


def _longest(settings: Settings) -> tuple[str, int]:
    """Return the longest length that a search surely tries if nobody solves less, and the setting that says so."""
    name = "search.length_min" if settings.open_range else "search.length_max"
    return name, getattr(settings.search, name.removeprefix("search."))


def _require_room_for_training(settings: Settings) -> None:
    train, search, hidden = settings.training, settings.search, settings.cell.hidden
    elsewhere = train.device != "cpu" or settings.parts["executor"].get("address") is not None
    same = {"training.batch": train.batch, "cell.hidden": hidden}
    for section, name, length, replicas in (
        ("training", "training.length", train.length, train.replicas),
        ("search", *_longest(settings), search.replicas),
    ):
        needed = memory.training(settings.task, length, replicas, train.batch, hidden)
        memory.require_room(needed, {f"{section}.replicas": replicas, name: length, **same}, elsewhere)
