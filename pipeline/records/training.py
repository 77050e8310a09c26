"""curves.csv and gradients.parquet of a training: what was measured by update, and the gradient through time."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow
from numpy import ndarray
from pyarrow import parquet

from pipeline.base.errors import UserError, first_line
from pipeline.records.reading import MAKER

Curve = Mapping[str, float]  # what was measured at one update, which it names

NORMS = {"update": "iu", "step": "iu", "log2_norm_h": "f"}  # columns that a figure shows, and the kinds of their types


def write_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Write curves.csv: one row an update, one column a figure, empty where it was not measured."""
    rows: dict[float, dict[str, float]] = {}
    for curve in curves:
        rows.setdefault(curve["update"], {}).update({**curve, "update": int(curve["update"])})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list({name: None for row in rows.values() for name in row}), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def read_curves(path: Path, maker: str = MAKER) -> list[Curve]:
    """Return the rows of curves.csv; raises `UserError` where it is missing or is something else."""
    try:
        text = path.read_text()
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        curves: list[Curve] = [{name: float(text) for name, text in row.items() if text} for row in rows]
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(f"{path} can't be read ({first_line(error)}); {maker} makes it anew") from error
    whole = text.endswith("\n") and all("update" in curve for curve in curves)
    if not whole or not any("score/held_out" in curve for curve in curves):
        raise UserError(f"{path} does not hold the curves of a training; {maker} makes it anew")
    return curves


def read_norms(path: Path, maker: str = MAKER) -> dict[str, ndarray]:
    """Return update, step and log2 ‖∂L/∂h_t‖, one row a replica; raises `UserError` where the file is none of these."""
    try:
        table = parquet.read_table(path, columns=list(NORMS))
        found = {name: np.asarray(table[name]) for name in NORMS}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} can't be read ({first_line(error)}); {maker} makes it anew") from error
    if table.num_rows == 0 or any(found[name].dtype.kind not in kinds for name, kinds in NORMS.items()):
        raise UserError(f"{path} does not hold the gradients of a training; {maker} makes it anew")
    return found
