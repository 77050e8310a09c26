"""Which pairs an atlas holds, with the settings and the place of each."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipeline.base.errors import require
from pipeline.cells.cell import Cell
from pipeline.records.atlas import PAIR, RATE, PairRecord, RateRecord, read_if_there
from pipeline.runs.studies import search_name
from pipeline.settings import Settings, build, compose
from pipeline.settings.composition import beside
from pipeline.settings.fingerprint import rate_fingerprint
from pipeline.settings.places import options
from pipeline.settings.schema import MATCHED

UNITS = 32  # of the LSTM whose count of weights a matched width comes nearest to
WIDEST = 1024  # units


@dataclass(frozen=True)
class Entry:
    """One pair at one width."""

    task: str
    name: str  # of the row: a cell, or a variant of one
    width: int | str
    settings: Settings  # without a learning rate of its own

    @property
    def title(self) -> str:
        """What the terminal calls it: `adding-lstm`, or `adding-lstm at matched`."""
        pair = f"{self.task}-{self.name}"
        return f"{pair} at {self.width}" if len(self.settings.atlas.widths) > 1 else pair

    @property
    def place(self) -> tuple[str, str, str]:
        """Its width, its task and the name of its row."""
        return str(self.width), self.task, self.name

    @property
    def folder(self) -> Path:
        """The folder of its results."""
        return self.settings.results_of("")

    @property
    def rate(self) -> RateRecord | None:
        """The choice of its learning rate; None where these settings and this code have made none."""
        found = read_if_there(self.folder / RATE, RateRecord)
        return found if found and found.made_by == rate_fingerprint(self.settings) else None

    def searched(self, rate: RateRecord) -> Settings:
        """Return the settings of its search."""
        settings = self.settings
        overrides = [*settings.overrides, f"optimizer.lr={rate.chosen:g}"]
        optimizer = {**settings.parts["optimizer"], "lr": rate.chosen}
        return replace(settings, parts={**settings.parts, "optimizer": optimizer}, overrides=tuple(overrides))

    @property
    def done(self) -> bool:
        """Whether its search has ended, with these settings and this code."""
        rate, pair = self.rate, read_if_there(self.folder / PAIR, PairRecord)
        return rate is not None and pair is not None and pair.study == search_name(self.searched(rate))


def planned(settings: Settings) -> list[Entry]:
    """Return every pair, task by task; raise `UserError` where the settings of one are wrong."""
    atlas, fixed = settings.atlas, settings.fixed
    tasks = [settings.names["task"]] if "task" in fixed else atlas.tasks or options("task")
    own = [word for word in settings.overrides if word.partition("=")[0].split(".")[0] != "atlas"]
    own = [word for word in own if not word.startswith(("task=", "cell="))]
    return [
        entry(settings, task, name, words, width, own)
        for width in atlas.widths
        for task in tasks
        for name, words in rows(settings).items()
    ]


def rows(settings: Settings) -> dict[str, Sequence[str]]:
    """Return the rows of the table with the words that make each; that of the command line alone, if it names one."""
    atlas, name = settings.atlas, settings.names["cell"]
    if "cell" in settings.fixed:
        return {name: [f"cell={name}"]}
    found: dict[str, Sequence[str]] = {name: [f"cell={name}"] for name in atlas.cells or options("cell")}
    return found if atlas.cells else found | variants(atlas.variants)


def variants(given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the variants; raise `UserError` where one is no list of words, or has a name that no folder may have."""
    for name, words in given.items():
        sound = isinstance(words, list) and all(isinstance(word, str) for word in words)
        require(sound, f"atlas.variants.{name}", "is a list of words of a command line", words)
        require(str(name).isidentifier(), "atlas.variants", "has names of letters, digits and _", name)
        cells = [word for word in words if word.startswith("cell=")]
        require(len(cells) == 1, f"atlas.variants.{name}", "must name one cell: cell=NAME", words)
    return dict(given)


def entry(
    settings: Settings, task: str, name: str, words: Sequence[str], width: int | str, own: Sequence[str]
) -> Entry:
    """Return one pair; `own` are the words of the command line, which are the strongest."""
    (cell,) = (word for word in words if word.startswith("cell="))
    knobs = [word for word in words if word != cell]
    given = [*settings.atlas.settings, *knobs]
    units = matched(beside(settings, [*given, *own], f"task={task}", cell)) if width == MATCHED else width
    found = beside(settings, [*given, f"cell.hidden={units}", *own], f"task={task}", cell)
    return Entry(task, name, width, replace(found, atlas=settings.atlas, home=f"atlas/{width}/{task}-{name}"))


def matched(settings: Settings) -> int:
    """Return the width at which a cell has as many weights, with the readout, as the LSTM of 32 units has."""
    wanted = weights(compose(f"task={settings.names['task']}", "cell=lstm"), UNITS)
    above = bisect_left(range(WIDEST), wanted, lo=1, key=lambda width: weights(settings, width))
    return min((above - 1, above), key=lambda width: abs(weights(settings, width) - wanted) if width else wanted)


def weights(settings: Settings, width: int) -> int:
    """Return how many weights the cell and its readout have, with so many units."""
    cell: Cell = build({**settings.parts["cell"], "hidden": width}, "cell").for_length(settings.search.length_min)
    random = torch.Generator().manual_seed(0)
    every = [*cell.weights(settings.task.channels, random).values(), *cell.readout(settings.task.outputs, random)]
    return sum(each.numel() for each in every)
