"""What names a study of trials and a choice of settings: the settings and the code that decide it, in eight digits."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.base import deciding
from pipeline.base.files import digest
from pipeline.base.trees import without
from pipeline.settings import CONF, Settings


def fingerprint(settings: Settings) -> str:
    """Return a digest of what decides the trials of a search: its settings and the meaning of its code."""
    tree = without(settings.recorded, *deciding.NOT_OF_A_SEARCH)
    code = deciding.project()
    return _short(tree, deciding.of_parts(code, CONF, tree, *code.below(*deciding.TRIALS)))


def choice_fingerprint(settings: Settings) -> str:
    """Return a digest of what decides which settings are chosen: what decides trials, the space and how it is tried."""
    options = without({"tune": vars(settings.tune)}, *deciding.NO_RESULT)["tune"]
    own = {"cells": options["cells"].get(settings.names["cell"])}  # of other cells nothing is tried
    code = deciding.project()
    return _short(options | own, fingerprint(settings), code.digest(code.below(*deciding.CHOICES)))


def rate_fingerprint(settings: Settings) -> str:
    """Return a digest of what decides which learning rate `atlas` chooses for a pair."""
    options, code = settings.atlas, deciding.project()
    tried = {"rates": options.rates, "seeds": options.seeds, "climb": options.climb}
    return _short(tried, fingerprint(settings), code.digest(code.below(*deciding.CHOICES, *deciding.RATES)))


def explanation_fingerprint(settings: Settings, length: int) -> str:
    """Return a digest of what decides the trainings of an explanation, but not how many of them are made."""
    options = without({"explain": vars(settings.explain)}, *deciding.NO_RESULT, *deciding.HOW_MANY)["explain"]
    code = deciding.project()
    return _short(options | {"length": length}, fingerprint(settings), code.digest(code.below(*deciding.EXPLANATIONS)))


def _short(tree: Mapping[str, Any], *code: str) -> str:
    return digest(json.dumps(deciding.by_class(tree), sort_keys=True, default=dict), *code, digits=8)
