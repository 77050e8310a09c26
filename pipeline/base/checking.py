"""Plain values, as JSON and YAML hold them, checked against a type and made one."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Checked = TypeVar("Checked")


def checked(kind: Callable[..., Checked], content: Any) -> Checked:
    """Return the content as a value of this type: a dataclass with typed fields, and rules in `__post_init__`.

    Names that the type does not have are left out. Raises `ValueError`, in a few words, where something is missing, has
    another type, or breaks a rule: `t50.median: input should be a valid number`.
    """
    try:
        made: Checked = _adapter(kind).validate_json(json.dumps(content, allow_nan=False), strict=True)
    except ValidationError as error:
        raise ValueError(_words(error)) from error
    except (TypeError, RecursionError) as error:  # nothing that JSON can say
        raise ValueError(str(error)) from error
    return made


@cache
def _adapter(kind: Any) -> Any:
    return TypeAdapter(kind)


def _words(error: ValidationError) -> str:
    """What is missing, else the first thing that is wrong."""
    found = error.errors(include_url=False, include_input=False)
    missing = [".".join(map(str, each["loc"])) for each in found if each["type"] == "missing"]
    if missing:
        return f"no {', '.join(missing)}"
    place = ".".join(map(str, found[0]["loc"]))
    words = found[0]["msg"].removeprefix("Value error, ")
    return f"{place}: {words[0].lower()}{words[1:]}" if place else words
