"""conf/tuned/TASK-CELL.yaml: the chosen settings of a pair with where they come from, written and read.

It is written with PyYAML, which reads it. ruamel.yaml writes YAML 1.2, where a text such as `no` or `12:30` needs no
quotes; PyYAML reads YAML 1.1, where it is another value without them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.checking import checked
from pipeline.base.errors import UserError, first_line
from pipeline.base.trees import as_json
from pipeline.tuning.record import Provenance, TuningRecord

SECTIONS = ("optimizer", "training", "cell")  # what a choice of settings may hold
COMMENTS = {
    "seed": "tune.seed",
    "generations": "that the cost allowed",
    "settings": "tried, one seed each",
    "cost": "of the choice: replica x updates x length",
    "searches": "the same, in searches with the plain settings",
    "curve_cost": "of the curve over the learning rate, beside the choice",
    "octaves": "log2 of its horizon in the last round",
    "median": "length",
    "lower": "length",
    "upper": "length",
    "probability": "that it is undefined",
    "compute": "replica x updates x length",
    "trials": "of the search",
    "length": "at which the learning rates were tried",
    "seeds": "at each rate",
}


@dataclass(frozen=True)
class TunedFile:
    """The content of a file."""

    sections: Mapping[str, Mapping[str, Any]]
    provenance: Provenance


def write_tuned(path: Path, found: TuningRecord, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what a tuning found, as sections of the settings; an old file stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".yaml.new")
    fresh.write_text(text(found.task, found.cell, sections, found.plain_settings, as_json(found.provenance)))
    fresh.replace(path)


def read_tuned(path: Path) -> TunedFile | None:
    """Return the content of a file, None for a pair that was not tuned; raise `UserError` if it is something else."""
    task, _, cell = path.stem.rpartition("-")
    maker = f"`python -m pipeline.tune task={task} cell={cell}` makes it"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read ({first_line(error)}); {maker}") from error
    if content is None:
        return None
    sections = isinstance(content, dict) and all(isinstance(value, dict) for value in content.values())
    if not sections or "provenance" not in content or not set(content) <= {*SECTIONS, "provenance"}:
        raise UserError(
            f"{path} must have provenance and any of {', '.join(SECTIONS)}, each a group; "
            f"{maker}, and search.tuned=false does without it"
        )
    try:
        return TunedFile(sections=content, provenance=checked(Provenance, content.pop("provenance")))
    except ValueError as error:
        raise UserError(
            f"{path}: provenance can't be used ({error}); {maker}, and search.tuned=false does without it"
        ) from error


def text(
    task: str,
    cell: str,
    settings: Mapping[str, Mapping[str, Any]],
    plain: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Return the file. `settings` are sections of the configuration, `plain` the plain values by full name."""
    lines = [
        f"# Settings for {cell} on {task}, found by `python -m pipeline.tune task={task} cell={cell}`.",
        "# search and train use them; search.tuned=false uses the plain ones, and the command line wins over both.",
    ]
    for section, values in settings.items():
        lines.append(f"{section}:")
        for name, value in values.items():
            full = f"{section}.{name}"
            comment = f"plain: {scalar(plain[full])}" if full in plain else "as in the optimizer's own file"
            lines.append(f"  {name}: {scalar(value)}" + ("" if name.startswith("_") else f" # {comment}"))
    return "\n".join([*lines, "provenance:", *_tree(provenance, "  "), ""])


def _tree(content: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}:", *_tree(value, indent + "  ")]
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            comment = f" # {COMMENTS.get(name, 'share')}" if number else ""
            lines.append(f"{indent}{name}: {scalar(value)}{comment}")
    return lines


def scalar(value: Any) -> str:
    """Return a value on one line, as YAML reads it back: JSON's 3e-05 would be text."""
    return str(yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)).splitlines()[0]
