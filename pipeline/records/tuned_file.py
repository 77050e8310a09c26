"""conf/tuned/TASK-CELL.yaml: the chosen settings with where they come from."""

from collections.abc import Mapping
from typing import Any

import yaml

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


def text(
    task: str,
    cell: str,
    settings: Mapping[str, Mapping[str, Any]],
    plain: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """The file. `settings` are sections of the configuration, `plain` the plain values by full name."""
    lines = [
        f"# Settings for {cell} on {task}, found by `python -m pipeline.tune task={task} cell={cell}`.",
        "# search and train use them; search.tuned=false uses the plain ones, and the command line wins over both.",
    ]
    for section, values in settings.items():
        lines.append(f"{section}:")
        for name, value in values.items():
            known = plain.get(f"{section}.{name}")
            comment = "as in the optimizer's own file" if known is None else f"plain: {scalar(known)}"
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
    """A value on one line, as YAML reads it back: JSON's 3e-05 would be text."""
    return str(yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)).splitlines()[0]
