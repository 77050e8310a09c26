"""Parts of conf/: objects made from the class that `_target_` names and the values beside it."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, signature
from typing import Any

from pipeline.base.errors import UserError, first_line, require, where
from pipeline.settings.known import unknown
from pipeline.settings.trust import trusted
from pipeline.settings.typed import KINDS, of_type, typed


def build(values: Any, name: str, **arguments: Any) -> Any:
    """Return the part that `_target_` names, made from the other values; raise `UserError` where they do not fit.

    An optimizer has `_partial_: true`: it is made when it is called with the weights.
    """
    require(isinstance(values, Mapping), name, "is a group of settings", values)
    target, later = str(values.get("_target_", "")), values.get("_partial_", False)
    given = {key: value for key, value in values.items() if key not in ("_target_", "_partial_")}
    kind = trusted(target, name)
    require(later is (name == "optimizer"), f"{name}._partial_", f"must be {str(name == 'optimizer').lower()}", later)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(name, kind, given | arguments, target)
    like_defaults(name, kind, given)
    try:
        return partial(kind, **given, **arguments) if later else kind(**given, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} can't be built from {target}: {first_line(error)}") from error


def _dataclass(name: str, kind: type, values: Mapping[str, Any], target: str) -> Any:
    try:
        return typed(name, kind, values)
    except UserError:
        raise
    except Exception as error:  # a part's own check of its values
        reason = f"{type(error).__name__}: {first_line(error)} ({where(error)})"
        raise UserError(f"{name} can't be built from {target}, {reason}") from error


def like_defaults(name: str, kind: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise `UserError` where a class of another library has no such parameter, or a default of another type."""
    parameters = signature(kind).parameters
    for key, value in given.items():
        default = parameters[key].default if key in parameters else Parameter.empty
        if default is Parameter.empty:
            raise UserError(unknown(f"{name}.{key}"))
        _like(f"{name}.{key}", value, default)


def _like(name: str, value: Any, default: Any) -> None:
    if isinstance(default, tuple):
        same = isinstance(value, list) and len(value) == len(default)
        require(same, name, f"must be a list of {len(default)}, like {list(default)}", value)
        for each, other in zip(value, default, strict=True):
            _like(name, each, other)
    elif default is None:
        of_type(name, value, int | float | bool | str | None)
    elif type(default) in KINDS:
        of_type(name, value, float if type(default) is int else type(default))
    else:
        raise UserError(f"{name} must be left out, for no text can say it; got {value!r}")
