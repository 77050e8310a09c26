"""results/atlas/horizons.md and horizons.json: every pair that has been placed, and which have not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.files import replaced, write_json
from pipeline.base.trees import as_json
from pipeline.cells.cell import KINDS
from pipeline.records.atlas import PAIR, RATE, PairRecord, RateRecord, read_if_there
from pipeline.records.horizon import HorizonRecord
from pipeline.records.labels import label
from pipeline.records.settings import SettingsRecord
from pipeline.records.wording import phrase

Place = tuple[str, str, str]  # width, task, name of the row

NOT_RUN = "not run"
LEGEND = """\
Horizon T50: the length that half of the replicas solve within {budget} updates, with its {level:.0%} credible interval;
*above* and *below*: beyond the lengths that were tried. Every cell has the settings of its file in conf/cell, which are
the published ones where there are such, Adam, and one learning rate of its own: that which came farthest when
{rates} rates climbed doubling lengths, {seeds} seeds each, at the same cost for every cell (conf/atlas.yaml).
Nothing else is tuned, so a cell that is behind another one here may be before it with other settings.
"""
HEAD = ("task", "row", "T50", "learning rate", "a layer is", "initial weights", "tied to the length", "why it fails")


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

    @property
    def row(self) -> tuple[str, ...]:
        """Its row in the long table."""
        found, settings, rate = self.horizon, self.settings, self.rate
        if not found or not settings or not rate:
            return (label(self.task), self.name, NOT_RUN, f"{rate.chosen:g}" if rate else "", *[""] * 4)
        why = "∗" if found.cannot_represent else found.signature or ""
        return (
            label(self.task),
            self.name,
            self.answer,
            f"{rate.chosen:g}" + (", an end of those tried" if rate.at_end else ""),
            found.kind,
            str(settings.cell.get("init", "")),
            ", ".join(found.tied) or "nothing",
            why,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what horizons.json states of it."""
        known = {"width": self.width, "task": self.task, "row": self.name}
        return known | {
            "command": self.pair.command if self.pair else None,
            "rate": as_json(self.rate) if self.rate else None,
            "horizon": as_json(self.horizon) if self.horizon else None,
            "cell": dict(self.settings.cell) if self.settings else None,
        }


def write_table(results: Path, planned: Iterable[Place]) -> None:
    """Write the table of all pairs that are in the folder or were planned."""
    home = results / "atlas"
    there = {place_of(path.parent) for path in home.glob(f"*/*-*/{RATE}")}
    found = [placed(home, place) for place in sorted({*planned, *there})]
    with replaced(home, whole=False) as folder:
        write_json(folder / "horizons.json", {"pairs": [each.to_json() for each in found]})
        (folder / "horizons.md").write_text(text(found))


def place_of(folder: Path) -> Place:
    """Return which pair a folder is of; no task has a - in its name."""
    task, _, name = folder.name.partition("-")
    return folder.parent.name, task, name


def placed(home: Path, place: Place) -> Placed:
    """Return what the folder of a pair holds."""
    width, task, name = place
    folder = home / width / f"{task}-{name}"
    rate, pair = read_if_there(folder / RATE, RateRecord), read_if_there(folder / PAIR, PairRecord)
    horizon = read_if_there(folder / "search/horizon.json", HorizonRecord) if pair else None
    settings = read_if_there(folder / "search/settings.json", SettingsRecord) if pair else None
    return Placed(width, task, name, rate, pair, horizon, settings)


def text(found: Sequence[Placed]) -> str:
    """Return horizons.md."""
    known = [each for each in found if each.horizon]
    parts = [f"{len(known)} of {len(found)} pairs have been searched."]
    if known:
        parts.append(legend(known))
    for width in dict.fromkeys(each.width for each in found):
        parts += [f"## {heading(width)}", matrix([each for each in found if each.width == width])]
        parts.append(table(HEAD, [each.row for each in found if each.width == width]))
    horizons = [each.horizon for each in known if each.horizon]
    limits = sorted({f"- {each.cell} {each.cannot_represent}" for each in horizons if each.cannot_represent})
    parts += ["∗ Horizons that say nothing about gradients:", "\n".join(limits)] if limits else []
    kinds = sorted({each.kind for each in horizons if each.kind})
    parts += ["What a layer is:", "\n".join(f"- {kind}: {KINDS[kind]}" for kind in kinds)] if kinds else []
    return "\n\n".join(parts) + "\n"


def legend(known: Sequence[Placed]) -> str:
    """Return what the numbers are."""
    first = known[0]
    assert first.horizon and first.rate
    budgets = sorted({each.horizon.budget for each in known if each.horizon})
    words = {"budget": " or ".join(map(str, budgets)), "level": first.horizon.level}
    return LEGEND.format(**words, rates=len(first.rate.rates), seeds=first.rate.seeds).strip()


def heading(width: str) -> str:
    """Return what a width is called."""
    return f"{width} units a layer" if width.isdigit() else "As many weights as an LSTM of 32 units"


def matrix(found: Sequence[Placed]) -> str:
    """Return the short table: a row for each cell, a column for each task."""
    tasks, names = (list(dict.fromkeys(getattr(each, part) for each in found)) for part in ("task", "name"))
    answers = {(each.name, each.task): each.answer for each in found}
    rows = [(name, *(answers.get((name, task), NOT_RUN) for task in tasks)) for name in sorted(names)]
    return table(("", *map(label, tasks)), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
