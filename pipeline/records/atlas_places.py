"""What is known of the pairs of an atlas, read from their folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.trees import as_json
from pipeline.records.atlas import PAIR, RATE, PairRecord, RateRecord, read_if_there
from pipeline.records.horizon import HorizonRecord
from pipeline.records.settings import SettingsRecord
from pipeline.records.wording import phrase

Place = tuple[str, str, str]  # width, task, name of the row

NOT_RUN = "not run"


@dataclass(frozen=True)
class Placed:
    """What is known of one pair."""

    width: str
    task: str
    name: str
    rate: RateRecord | None
    pair: PairRecord | None
    horizon: HorizonRecord | None
    settings: SettingsRecord | None

    @property
    def answer(self) -> str:
        """The horizon in words, marked where the cell can't represent the task."""
        if not self.horizon:
            return NOT_RUN
        return phrase(self.horizon.t50) + (" ∗" if self.horizon.cannot_represent else "")

    def to_json(self) -> dict[str, Any]:
        """Return what horizons.json states of it."""
        known = {"width": self.width, "task": self.task, "row": self.name}
        return known | {
            "command": self.pair.command if self.pair else None,
            "rate": as_json(self.rate) if self.rate else None,
            "horizon": as_json(self.horizon) if self.horizon else None,
            "cell": dict(self.settings.cell) if self.settings else None,
        }


def read_atlas(home: Path, planned: Iterable[Place]) -> list[Placed]:
    """Return what is known of the pairs that are in a folder or were planned."""
    there = {place_of(path.parent) for path in home.glob(f"*/*-*/{RATE}")}
    return [placed(home, place) for place in sorted({*planned, *there})]


def place_of(folder: Path) -> Place:
    """Return which pair a folder is of; no task has a - in its name."""
    task, _, name = folder.name.partition("-")
    return folder.parent.name, task, name


def placed(home: Path, place: Place) -> Placed:
    """Return what the folder of a pair holds."""
    width, task, name = place
    folder = home / width / f"{task}-{name}"
    rate, pair = read_if_there(folder / RATE, RateRecord), read_if_there(folder / PAIR, PairRecord)
    horizon = read_found(folder) if pair else None
    settings = read_if_there(folder / "search/settings.json", SettingsRecord) if pair else None
    return Placed(width, task, name, rate, pair, horizon, settings)


def read_found(folder: Path) -> HorizonRecord | None:
    """Return the horizon in the folder of a pair; None where there is none."""
    return read_if_there(folder / "search/horizon.json", HorizonRecord)
