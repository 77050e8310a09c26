"""What decides a trial, in eight digits: the settings that a search uses, and the code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.settings import CONF, ROOT, Settings

CODE = (
    "cells",
    "data",
    "horizon",
    "kernels",
    "learning",
    "study",
    "tasks",
)  # what a trial's outcome depends on, besides the settings


def fingerprint(settings: Settings) -> str:
    """Eight digits of what decides a trial; where it runs, and on how many threads, does not."""
    tree = {
        name: dict(settings.tree[name])
        for name in ("task", "cell", "optimizer", "sampler", "data", "training", "search")
    }
    for group, free in (("training", ("length", "replicas", "threads")), ("search", ("fresh", "tuned"))):
        for name in free:
            del tree[group][name]
    total = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for path in code(settings):
        total.update(path.read_bytes())
    return total.hexdigest()[:8]


def code(settings: Settings) -> list[Path]:
    """The files that decide a trial; those of other cells and tasks do not, so that one may be added meanwhile."""
    files = {ROOT / "pipeline/runs/trial.py"}
    for part in CODE:
        files |= {path for path in (ROOT / "pipeline" / part).rglob("*") if path.suffix in (".py", ".h")}
    for group in ("cell", "task"):
        options = [yaml.safe_load(path.read_text()) for path in (CONF / group).glob("*.yaml")]
        files -= {module_of(option.get(group, option)) for option in options} - {module_of(settings.tree[group])}
    return sorted(files)


def module_of(part: Mapping[str, Any]) -> Path:
    """The file that a `_target_` lies in."""
    return ROOT / (str(part["_target_"]).rpartition(".")[0].replace(".", "/") + ".py")
