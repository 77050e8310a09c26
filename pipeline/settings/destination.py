"""Where a stage writes: to the published folder, or below results/try where its settings ask another question.

Only a stage of dvc.yaml, which asks what conf/ says, writes what git and DVC carry; so does `publish=true`. Settings
that decide no result, such as an executor, make no other question.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.deciding import NO_RESULT
from pipeline.base.files import digest
from pipeline.base.trees import flatten, without
from pipeline.settings.composition import composed_tree
from pipeline.settings.overrides import asked, choice, name_of
from pipeline.settings.places import CONF, ROOT
from pipeline.settings.schema import Settings

NOT_OF = {  # what decides nothing of a stage, beside `NO_RESULT`
    "prepare": ("atlas", "cell", "explain", "optimizer", "retune", "sampler", "training", "tune"),
    "train": ("atlas", "explain", "retune", "sampler", "search", "tune"),
    "search": ("atlas", "explain", "retune", "tune"),
    "explain": ("atlas", "retune", "tune"),
    "tune": ("atlas", "explain", "retune"),
    "retune": ("atlas", "explain"),
    "atlas": ("atlas.cells", "atlas.tasks", "atlas.widths", "explain", "retune", "tune"),  # which pairs, of one table
}
LONGEST = 120  # signs of a folder's name


def folder_of(settings: Settings, stage: str) -> Path:
    """Return the folder of a stage's results."""
    changed = what_if(settings, stage)
    if not changed:
        return settings.results_of(stage)
    return settings.results / "try" / stage / settings.title / folder_name(changed) / (settings.folder or "")


def destination(settings: Settings, stage: str) -> str:
    """Say where a stage writes, and why there."""
    folder, changed = shown(folder_of(settings, stage)), what_if(settings, stage)
    if not changed:
        return f"writes {folder}"
    asked_else = f"asks another question than {shown(settings.results_of(stage))} ({', '.join(changed)})"
    return f"{asked_else}, so it writes {folder}; publish=true replaces the published answer"


def what_if(settings: Settings, stage: str, path: str = "results") -> list[str]:
    """Return the overrides by which a stage asks something else than what is published below `path`.

    None where it writes elsewhere anyway: to a folder of the user's, or to that of a multirun.
    """
    given = _deciding(settings, stage)
    if not given or settings.publish or settings.home or (settings.folder is not None and settings.experiment is None):
        return []
    named = [choice(group, settings.names[group]) for group in ("task", "cell")]
    experiment = [f"+experiment={settings.experiment}"] if settings.experiment else []
    plain, mine = (_composed((*named, *experiment, *words)) for words in ([], given))
    if (ROOT / plain["paths"][path]).resolve() != (ROOT / getattr(settings.paths, path)).resolve():
        return []
    return given if _question(plain, stage) != _question(mine, stage) else []


@cache
def _composed(words: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the settings of a command line; a command asks several times, and each takes a tenth of a second."""
    return composed_tree(words)


def _deciding(settings: Settings, stage: str) -> list[str]:
    """Return the overrides that may decide a result of a stage, in order; of an experiment's multirun, not its own."""
    aside = {"task", "cell", "experiment", "publish", *_swept(settings)}
    nothing = (*NO_RESULT, *NOT_OF.get(stage, ()))
    return sorted(
        word
        for word in asked(settings.overrides)
        if (name := name_of(word)) not in aside
        and (name == "search.tuned" or not any(name == each or name.startswith(f"{each}.") for each in nothing))
    )


def _swept(settings: Settings) -> set[str]:
    """Return the settings that an experiment gives several values, for a multirun of them is what it publishes."""
    if settings.experiment is None or settings.folder is None:
        return set()
    content = yaml.safe_load((CONF / "experiment" / f"{settings.experiment}.yaml").read_text(encoding="utf-8"))
    params: Mapping[str, Any] = content.get("hydra", {}).get("sweeper", {}).get("params", {})
    return set(map(name_of, params))


def _question(tree: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return what decides the result of a stage."""
    kept = without(tree, *NO_RESULT, *NOT_OF.get(stage, ()), "publish")
    return flatten(kept) | {"search.tuned": tree["search"]["tuned"]}


def folder_name(overrides: Sequence[str]) -> str:
    """Return a name for a folder of results: overrides, shortened by a digest if they are long."""
    words = ",".join(sorted(each for each in asked(overrides) if not each.startswith("+experiment=")))
    name = words.replace("/", "_")
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{digest(words, digits=8)}"


def shown(path: Path) -> str:
    """Return a path as a sentence shows it: relative to the project, if it lies there."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
