"""retune.json: other choices of a pair's settings, and their horizons.

Its choices count beside the choice in conf/tuned for which they were made, under the same settings of the search.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.deciding import by_class
from pipeline.base.files import digest
from pipeline.base.trees import flatten
from pipeline.records.reading import read_json
from pipeline.tuning.record import Choice


@dataclass(frozen=True)
class ChoicesRecord:
    """Other choices of the settings of one pair."""

    task: str
    cell: str
    first_study: str  # which made the choice in conf/tuned
    settings_digest: str
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where there are none."""
        if not self.choices:
            raise ValueError("no choices")


def read_choices(path: Path) -> ChoicesRecord | None:
    """Return the content of retune.json; None where there is none. Raises `UserError` where it is something else."""
    there = path.exists() or path.is_symlink()
    return read_json(path, ChoicesRecord, "`python -m pipeline.retune`") if there else None


def beside(path: Path, first_study: str, recorded: Mapping[str, Any]) -> tuple[Choice, ...]:
    """Return the choices in retune.json that count; none of those made beside another first choice or other settings.

    `first_study` made the choice in conf/tuned, `recorded` is what settings.json says of the search with it.
    """
    found = read_choices(path)
    if not found:
        return ()
    wanted = first_study, settings_digest(recorded, found.choices[0].chosen)
    return found.choices if (found.first_study, found.settings_digest) == wanted else ()


def settings_digest(recorded: Mapping[str, Any], chosen: Collection[str]) -> str:
    """Return what tells settings apart that decide a search, but for those that are chosen for the pair: 16 digits."""
    kept = {
        name: value
        for name, value in flatten(by_class(recorded)).items()
        if name not in chosen and not name.startswith("optimizer.")
    }
    return digest(json.dumps(kept, sort_keys=True))
