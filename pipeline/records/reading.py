"""JSON files, read with their content checked."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError, first_line


def read_json(
    path: Path, names: Sequence[str], use: Callable[[Mapping[str, Any]], None], maker: str = "dvc repro"
) -> dict[str, Any]:
    """The content of a file that has these names, and values for them that can be used.

    `use` does with the content what is done with it, and raises some error where that can't be done; `maker` is the
    command that writes such files. Raises `UserError` where the file is something else.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(), parse_constant=_no_number)
        missing = [name for name in names if name not in content]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} can't be read ({why(error)}); `{maker}` makes it") from error
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}; `{maker}` makes it anew")
    try:
        use(content)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise UserError(f"{path} has a value that can't be used ({why(error)}); `{maker}` makes it anew") from error
    return content


def _no_number(text: str) -> None:
    """JSON has no NaN and no Infinity, but Python reads them."""
    raise ValueError(f"{text} is no number")


def why(error: BaseException) -> str:
    """What an error says, in one line; the kind of error for a name that is missing."""
    return f"no {first_line(error)}" if isinstance(error, KeyError) else first_line(error)
