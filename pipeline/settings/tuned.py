"""Tuned settings, from the file conf/tuned/TASK-CELL.yaml that `pipeline.tune` writes, in place of the plain ones.

What the command line names stays as it says, and a published setting (+experiment=NAME) as it was published.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.learning.options import TrainingOptions
from pipeline.settings.checks import check_parts
from pipeline.settings.places import PARTS, ROOT
from pipeline.settings.schema import Settings
from pipeline.settings.tuned_file import read_tuned
from pipeline.settings.typed import section
from pipeline.tuning.record import Tuned


def file_of(settings: Settings) -> Path:
    """Return where the tuned settings of a pair are written."""
    return ROOT / settings.paths.tuned / f"{settings.pair}.yaml"


def tuned(settings: Settings) -> Settings:
    """Return the settings with those of the pair's file, if it has one and search.tuned says so."""
    path = file_of(settings)
    there = path.exists() or path.is_symlink()  # a link to nothing is a file that can't be read
    if not settings.search.tuned or settings.experiment or not there:
        return settings
    found = read_tuned(path)
    if not found:
        return settings
    sections = {name: _free(settings, name, values) for name, values in found.sections.items() if values}
    return replace(with_values(settings, sections), tuned=found.provenance)


def _free(settings: Settings, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return tuned values of a section that the command line leaves free; of an optimizer that it names, none."""
    if name == "optimizer" and name in settings.fixed:
        return {}
    fixed = {key: value for key, value in settings.tree[name].items() if f"{name}.{key}" in settings.fixed}
    return dict(values) | fixed


def with_values(settings: Settings, sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return the settings with other values in some sections, checked; an optimizer is replaced as a whole."""
    given = {name: values for name, values in sections.items() if values}
    parts = dict(settings.parts)
    for name in given.keys() & set(PARTS):
        parts[name] = dict(given[name]) if name == "optimizer" else {**parts[name], **given[name]}
    training = section(TrainingOptions, settings.tree["training"] | dict(given.get("training", {})))
    found = replace(settings, parts=parts, training=training)
    check_parts(found)
    return found


def summary(settings: Settings) -> Tuned | None:
    """Return what horizon.json tells of the choice of settings; None where they are the plain ones."""
    if settings.tuned is None:
        return None
    optimizer, found = settings.parts["optimizer"], settings.tuned
    return Tuned(
        lr=optimizer.get("lr"),
        optimizer=optimizer["_target_"],
        plain=found.plain,
        curve=found.curve,
        cost=found.cost,
        searches=found.searches,
        study=found.study,
    )
