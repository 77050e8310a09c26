"""The file that `pipeline.retune` writes: other choices of a pair's settings, and their horizons.

Its choices count beside the choice in conf/tuned for which they were made, under the same settings of the search.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pipeline.base.deciding import by_class
from pipeline.base.files import digest
from pipeline.base.trees import flatten
from pipeline.records.reading import read_json
from pipeline.records.wording import phrase

LONGEST = 2**31  # no length is longer


def read(path: Path, first_study: str, recorded: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices in retune.json; none where they were made beside another first choice, or under other settings.

    `first_study` made the choice in conf/tuned, `recorded` is what settings.json says of the search with it. Raises
    `UserError` where the file is something else.
    """
    if not path.exists():
        return []
    content = _content(path, "first_study", "settings_digest")
    found = list(content["choices"])
    digest = settings_digest(recorded, found[0]["chosen"])
    return found if (content["first_study"], content["settings_digest"]) == (first_study, digest) else []


def by_study(path: Path) -> dict[str, dict[str, Any]]:
    """The choices in retune.json by the study that made each, whichever the first choice was."""
    return {each["study"]: dict(each) for each in _content(path)["choices"]} if path.exists() else {}


def _content(path: Path, *names: str) -> dict[str, Any]:
    return read_json(path, (*names, "choices"), _check_choices, "python -m pipeline.retune")


def _check_choices(content: Mapping[str, Any]) -> None:
    """Do with retune.json what is done with it; raises some error where that can't be done."""
    for each in content["choices"]:
        f"{each['seed']:d} {each['study']:s} {each['cost']:g} {each['tuned_searches']:g} {each['horizon']['study']:s}"
        check_estimate(each["horizon"])
        dict(each["chosen"])
    content["choices"][0]


def check_estimate(estimate: Mapping[str, Any]) -> None:
    """Do with a horizon what is done with it; raises some error where that can't be done."""
    phrase(estimate)
    ends = [estimate[end] for end in ("lower", "median", "upper") if estimate[end] is not None]
    for end in ends:
        if isinstance(end, bool) or not 1 <= end < LONGEST:
            raise ValueError(f"{end} is no length")
    if ends != sorted(ends) or estimate["censored"] not in (None, "above", "below"):
        raise ValueError(f"{phrase(estimate)} is no horizon")


def settings_digest(recorded: Mapping[str, Any], chosen: Collection[str]) -> str:
    """What tells settings apart that decide a search, but for those that are chosen for the pair: 16 digits."""
    kept = {
        name: value
        for name, value in flatten(by_class(recorded)).items()
        if name not in chosen and not name.startswith("optimizer.")
    }
    return digest(json.dumps(kept, sort_keys=True))
