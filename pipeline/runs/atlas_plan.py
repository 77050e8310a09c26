"""Which pairs an atlas holds, with the settings and the place of each."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from pipeline.base.errors import require
from pipeline.cells.cell import Cell
from pipeline.records.atlas import PAIR, RATE, PairRecord, RateRecord, read_if_there
from pipeline.runs.studies import search_name
from pipeline.settings import Settings, build, compose
from pipeline.settings.composition import beside
from pipeline.settings.destination import folder_name, what_if
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
        """What the terminal calls it: `adding-lstm`, at another width than the first `adding-lstm at matched`."""
        pair = f"{self.task}-{self.name}"
        return pair if self.width == self.settings.atlas.widths[0] else f"{pair} at {self.width}"

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
    own = [word for word in settings.overrides if word.partition("=")[0].split(".")[0] not in ("atlas", "publish")]
    own = [word for word in own if not word.startswith(("task=", "cell="))]
    home = home_of(settings)
    composed = [
        (task, name, of_pair(settings, [*of_task, *of_cell], own))
        for task, of_task in columns(settings).items()
        for name, of_cell in rows(settings).items()
    ]
    return [entry(home, width, *each) for width in widths(settings) for each in composed]


def home_of(settings: Settings) -> str:
    """Return the folder of an atlas below all results: the published one, or one for another question.

    To place one cell (`cell=NAME`) is such a question: it is compared with the published rows, and changes none.
    """
    words = what_if(settings, "atlas")
    if "cell" in settings.fixed and not settings.publish:
        words = [f"cell={settings.names['cell']}", *words]
    return f"try/atlas/{folder_name(words)}" if words else "atlas"


def widths(settings: Settings) -> Sequence[int | str]:
    """Return the widths; the first alone where one cell is to be placed and no width is asked for."""
    every = settings.atlas.widths
    return every[:1] if "cell" in settings.fixed and "atlas.widths" not in settings.fixed else every


def columns(settings: Settings) -> dict[str, Sequence[str]]:
    """Return the columns of the table with the words that make each; that of the command line alone, if it has one."""
    known: dict[str, Sequence[str]] = {name: [f"task={name}"] for name in options("task")}
    known |= variants("task", settings.atlas.task_variants)
    asked = [settings.names["task"]] if "task" in settings.fixed else settings.atlas.tasks
    for name in asked:
        require(name in known, "atlas.tasks", f"must be of {', '.join(known)}", name)
    return {name: known[name] for name in asked}


def rows(settings: Settings) -> dict[str, Sequence[str]]:
    """Return the rows of the table with the words that make each; that of the command line alone, if it has one."""
    atlas, name = settings.atlas, settings.names["cell"]
    if "cell" in settings.fixed:
        return {name: [f"cell={name}"]}
    known: dict[str, Sequence[str]] = {name: [f"cell={name}"] for name in options("cell")}
    known |= variants("cell", atlas.variants)
    for asked in atlas.cells or ():
        require(asked in known, "atlas.cells", f"must be null, or a list of {', '.join(known)}", asked)
    return {asked: known[asked] for asked in atlas.cells or known}


def variants(group: str, given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the variants; raise `UserError` where one is no list of words, or has a name that no folder may have."""
    section = "atlas.variants" if group == "cell" else "atlas.task_variants"
    for name, words in given.items():
        sound = isinstance(words, list) and all(isinstance(word, str) for word in words)
        require(sound, f"{section}.{name}", "is a list of words of a command line", words)
        require(str(name).isidentifier(), section, "has names of letters, digits and _", name)
        named = [word for word in words if word.startswith(f"{group}=")]
        require(len(named) == 1, f"{section}.{name}", f"must name one {group}: {group}=NAME", words)
    return dict(given)


def of_pair(settings: Settings, words: Sequence[str], own: Sequence[str]) -> Settings:
    """Return the settings of one pair; `own` are the words of the command line, which are the strongest."""
    named = [word for word in words if word.startswith(("task=", "cell="))]
    given = [*settings.atlas.settings, *(word for word in words if word not in named), *own]
    return replace(beside(settings, given, *named), atlas=settings.atlas)


def entry(home: str, width: int | str, task: str, name: str, settings: Settings) -> Entry:
    """Return one pair at one width; a width of the command line is the strongest."""
    words = settings.overrides
    if "cell.hidden" not in settings.fixed:
        units = matched(settings) if width == MATCHED else width
        words = (*words, f"cell.hidden={units}")
        settings = replace(settings, parts={**settings.parts, "cell": {**settings.parts["cell"], "hidden": units}})
    return Entry(task, name, width, replace(settings, overrides=words, home=f"{home}/{width}/{task}-{name}"))


def matched(settings: Settings) -> int:
    """Return the width at which a cell has as many weights, with the readout, as the LSTM of 32 units has."""
    wanted = weights_of_lstm(settings.task.channels, settings.task.outputs)
    above = UNITS  # doubled until it is too wide, for wide cells take long to make
    while above < WIDEST and weights(settings, above) < wanted:
        above *= 2
    above = bisect_left(range(above), wanted, lo=1, key=lambda width: weights(settings, width))
    return min((above - 1, above), key=lambda width: abs(weights(settings, width) - wanted) if width else wanted)


@cache
def weights_of_lstm(channels: int, outputs: int) -> int:
    """Return how many weights the LSTM of 32 units has."""
    cell: Cell = build({**compose("cell=lstm").parts["cell"], "hidden": UNITS}, "cell")
    return weights_with_readout(cell, channels, outputs)


def weights(settings: Settings, width: int) -> int:
    """Return how many weights the cell and its readout have, with so many units."""
    cell: Cell = build({**settings.parts["cell"], "hidden": width}, "cell").for_length(settings.search.length_min)
    return weights_with_readout(cell, settings.task.channels, settings.task.outputs)


def weights_with_readout(cell: Cell, channels: int, outputs: int) -> int:
    """Return how many weights a cell and its readout have."""
    random = torch.Generator().manual_seed(0)
    every = [*cell.weights(channels, random).values(), *cell.readout(outputs, random)]
    return sum(each.numel() for each in every)
