"""The settings in conf/tuned/TASK-CELL.yaml, which `pipeline.tune` writes, in place of the plain ones.

What the command line names stays as it says, and a published setting (+experiment=NAME) as it was published.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.errors import UserError
from pipeline.learning.options import TrainingOptions
from pipeline.settings import ROOT, Settings, check_parts, section

SECTIONS = ("optimizer", "training", "cell")  # what a choice of settings may hold
SHOWN = ("plain", "curve", "cost", "searches", "study")  # of its provenance, what horizon.json tells


def file_of(settings: Settings) -> Path:
    """Where the settings of a pair are written."""
    return ROOT / settings.paths.tuned / f"{settings.pair}.yaml"


def tuned(settings: Settings) -> Settings:
    """The settings with those of the pair's file, if it has one and search.tuned says so."""
    path = file_of(settings)
    there = path.exists() or path.is_symlink()  # a link to nothing is a file that can't be read
    if not settings.search.tuned or settings.experiment or not there:
        return settings
    content = read(path)
    if not content:
        return settings
    tree = dict(settings.tree) | {name: merged(settings, name, content.get(name, {})) for name in SECTIONS}
    training = section("training", TrainingOptions, tree["training"])
    found = replace(settings, tree=tree, training=training, tuned=content["provenance"])
    check_parts(found)
    return found


def merged(settings: Settings, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A section with tuned values; an optimizer is replaced as a whole, unless the command line names another."""
    plain = dict(settings.tree[name])
    if not values or (name == "optimizer" and name in settings.fixed):
        return plain
    fixed = {key: value for key, value in plain.items() if f"{name}.{key}" in settings.fixed}
    return (dict(values) if name == "optimizer" else plain | dict(values)) | fixed


def read(path: Path) -> dict[str, Any]:
    """The content of a file, empty for a pair that was not tuned; raises `UserError` where it is something else."""
    try:
        content: Any = yaml.safe_load(path.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} can't be read ({str(error).splitlines()[0]}); `python -m pipeline.tune` makes it"
        ) from error
    if content is None:
        return {}
    sections = isinstance(content, dict) and all(isinstance(value, dict) for value in content.values())
    if not sections or "provenance" not in content or not set(content) <= {*SECTIONS, "provenance"}:
        raise UserError(
            f"{path} must have provenance and any of {', '.join(SECTIONS)}, each a group; "
            "`python -m pipeline.tune` makes it, and search.tuned=false does without it"
        )
    try:
        json.dumps(content["provenance"], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: provenance must be what JSON can say ({error}); search.tuned=false does without"
        ) from error
    return dict(content)


def summary(settings: Settings) -> dict[str, Any] | None:
    """What horizon.json tells of the choice of settings; None where they are the plain ones."""
    if settings.tuned is None:
        return None
    chosen = {"lr": settings.tree["optimizer"].get("lr"), "optimizer": settings.tree["optimizer"]["_target_"]}
    return chosen | {name: settings.tuned.get(name) for name in SHOWN}
