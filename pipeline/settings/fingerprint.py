"""What names a study of trials and a choice of settings: the settings and the code that decide it, in eight digits."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.base import deciding
from pipeline.base.files import digest
from pipeline.base.trees import flatten, without
from pipeline.settings import Settings


def fingerprint(settings: Settings) -> str:
    """Return a digest of what decides the trials of a search: its settings and the meaning of its code."""
    tree = without(settings.recorded, *deciding.NOT_OF_A_SEARCH)
    code, parts = deciding.project(), _parts(tree)
    return _short(tree, code.digest(code.below(*deciding.TRIALS) | parts))


def choice_fingerprint(settings: Settings) -> str:
    """Return a digest of what decides which settings are chosen: what decides trials, the space and how it is tried."""
    options = without({"tune": vars(settings.tune)}, *deciding.NO_RESULT)["tune"]
    own = {"cells": options["cells"].get(settings.names["cell"])}  # of other cells nothing is tried
    code = deciding.project()
    return _short(options | own, fingerprint(settings), code.digest(code.below(*deciding.CHOICES)))


def _parts(tree: Mapping[str, Any]) -> set[str]:
    """Return the modules of this project that settings name, each with what it needs of its own room."""
    code = deciding.project()
    targets = [str(value) for name, value in flatten(tree).items() if name.endswith("._target_")]
    return set[str]().union(*(deciding.part(code, each) for each in targets if each.startswith(code.package + ".")))


def _short(tree: Mapping[str, Any], *code: str) -> str:
    return digest(json.dumps(deciding.by_class(tree), sort_keys=True, default=dict), *code, digits=8)
