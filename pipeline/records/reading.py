"""JSON files, read once with their content checked against a type."""

import json
from math import isinf
from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line

Record = TypeVar("Record")

MAKER = "`dvc repro`"  # what makes a file again, where nobody says it better


def read_json(path: Path, kind: type[Record], maker: str = MAKER) -> Record:
    """Return the content of a file as a record of this type.

    `maker` names the command that writes the file. Raises `UserError` where it is missing or is something else.
    """
    try:
        content = json.loads(path.read_text(), parse_constant=_refused, parse_float=_finite)
        return checked(kind, content)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} can't be read ({first_line(error)}); {maker} makes it anew") from error


def _refused(text: str) -> Any:
    """JSON has no NaN and no Infinity, but Python reads them."""
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    return _refused(text) if isinf(float(text)) else float(text)
