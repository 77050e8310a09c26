"""settings.json of a search: everything that decides its result."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.base.checking import checked
from pipeline.base.errors import UserError
from pipeline.base.trees import flatten
from pipeline.horizon.model import Grid
from pipeline.horizon.options import SearchOptions
from pipeline.records.horizon import HorizonRecord
from pipeline.records.reading import MAKER, read_json


@dataclass(frozen=True)
class SettingsRecord:
    """The settings of a search, by section."""

    data: Mapping[str, Any]
    training: Mapping[str, Any]
    search: Mapping[str, Any]
    cell: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    sampler: Mapping[str, Any]
    task: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Raise ValueError where an option of the search is missing or out of its range."""
        try:
            self.options.check()
        except UserError as error:
            raise ValueError(str(error)) from error

    @property
    def tree(self) -> dict[str, Mapping[str, Any]]:
        """The content of settings.json."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def flat(self) -> dict[str, Any]:
        """The settings by their full names."""
        return flatten(self.tree)

    @property
    def options(self) -> SearchOptions:
        """What the search asked."""
        return checked(SearchOptions, {**self.search, "fresh": False})

    def asks(self, horizon: HorizonRecord) -> bool:
        """Return whether a search with these settings asks what this horizon is an answer to."""
        asked = [Grid.of(self.options), self.options.replicas, self.options.level]
        asked += [self.training.get("updates"), self.task.get("goal")]
        return asked == [horizon.grid, horizon.replicas, horizon.level, horizon.budget, horizon.goal]


def read_settings(path: Path, maker: str = MAKER) -> SettingsRecord:
    """Return the content of settings.json; raises `UserError` where it is missing or is something else."""
    return read_json(path, SettingsRecord, maker)
