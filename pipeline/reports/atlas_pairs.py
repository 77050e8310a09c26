"""The pairs of an atlas as its page shows them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from numpy import ndarray

from pipeline.base.errors import UserError
from pipeline.figures.atlas import Square, color_of
from pipeline.figures.colors import ink
from pipeline.horizon.options import MILLION
from pipeline.records.atlas_places import Placed, placed
from pipeline.records.explanation import read_explanation
from pipeline.records.labels import label
from pipeline.records.trials import read_trials
from pipeline.records.wording import phrase
from pipeline.reports.atlas_order import draws
from pipeline.study.record import TrialRecord

TABLE = "horizons.json"
SIGNS = {"vanishing": "↘", "exploding": "↗", "neither": "~"}  # of what the gradient does where seeds fail
UNKNOWN = "not known yet"  # family of a cell that was not run


@dataclass(frozen=True)
class Pair:
    """One pair, with its trials where it was searched."""

    found: Placed
    trials: tuple[TrialRecord, ...]
    verdict: str | None  # of the same pair with tuned settings
    earlier: bool = False  # of older settings than those of conf/atlas.yaml

    @property
    def name(self) -> str:
        """What its part of the page is called."""
        return f"{self.found.width}-{self.found.task}-{self.found.name}"

    @property
    def folder(self) -> str:
        """Its folder, below that of the page."""
        return f"{self.found.width}/{self.found.task}-{self.found.name}"

    @property
    def title(self) -> str:
        """The pair in words."""
        return f"{label(self.found.task)} × {label(self.found.name)}"

    @property
    def kind(self) -> str:
        """What a layer of the cell is."""
        return self.found.horizon.kind if self.found.horizon else ""

    @property
    def cost(self) -> float:
        """What it took to find the rate and the horizon [million steps]."""
        rate, found = self.found.rate, self.found.horizon
        return ((rate.cost if rate else 0) + (found.compute if found else 0)) / MILLION

    @property
    def mark(self) -> str:
        """Why it fails, in a word: the verdict where seeds were trained again, else what the gradient does."""
        if not self.found.horizon or self.found.horizon.cannot_represent:
            return ""
        return f"{self.verdict} †" if self.verdict else self.found.horizon.signature or ""

    @property
    def square(self) -> Square:
        """The pair in the picture."""
        found = self.found.horizon
        if not found:
            return Square()
        sign = SIGNS.get(found.signature or "", "")
        return Square(found.t50.best_known, found.t50.censored or "", bool(found.cannot_represent), sign)

    @property
    def answer(self) -> str:
        """The horizon in words."""
        return phrase(self.found.horizon.t50) if self.found.horizon else self.found.answer

    @cached_property
    def drawn(self) -> ndarray | None:
        """Horizons drawn from what is known of it; None where it was not searched."""
        return draws(self.found.horizon.belief(self.trials), self.name) if self.found.horizon else None

    def look(self, longest: float) -> str:
        """Return the style of its place in the picture."""
        square = self.square
        if square.horizon is None or square.cannot:
            return ""
        fill = color_of(square, longest)
        return f"background: {fill}; color: {ink(fill)}"


@dataclass(frozen=True)
class Atlas:
    """All pairs, those that were not run too."""

    pairs: Sequence[Pair]
    tasks: Sequence[str]  # in their order
    widths: Sequence[str]

    @property
    def searched(self) -> list[Pair]:
        """The pairs whose horizon is known."""
        return [each for each in self.pairs if each.found.horizon]

    @property
    def longest(self) -> float:
        """The longest horizon, at which the colors end."""
        return max((each.square.horizon or 0.0 for each in self.pairs), default=2.0)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The family of each row that was searched on some task."""
        return {each.found.name: each.kind for each in self.pairs if each.kind}

    @property
    def families(self) -> list[str]:
        """The families of cells."""
        return sorted(set(self.kinds.values()))

    def rows(self, width: str) -> list[str]:
        """Return the rows of a width, family by family."""
        names = {each.found.name for each in self.pairs if each.found.width == width}
        return sorted(names, key=lambda name: (self.kinds.get(name, "~"), name))

    def of(self, width: str) -> dict[tuple[str, str], Pair]:
        """Return the pairs of a width, by row and task."""
        return {(each.found.name, each.found.task): each for each in self.pairs if each.found.width == width}

    def beliefs(self, width: str, task: str) -> dict[str, ndarray]:
        """Return draws of the horizons of one task, of the cells that can represent it."""
        every = [each for each in self.searched if (each.found.width, each.found.task) == (width, task)]
        able = [each for each in every if each.found.horizon and not each.found.horizon.cannot_represent]
        return {each.found.name: each.drawn for each in able if each.drawn is not None}

    def where(self, width: str) -> list[str]:
        """Return the tasks of a width that have pairs, in their order."""
        there = {each.found.task for each in self.pairs if each.found.width == width}
        return [task for task in self.tasks if task in there]


def read_pairs(home: Path, results: Path, tasks: Sequence[str], rates: Sequence[float] = ()) -> Atlas:
    """Return all pairs of the table in a folder; `tasks` come first, in this order.

    Pairs are earlier ones where their learning rate was chosen among others than `rates`.

    Raises `UserError` where the table, or the trials of a search, are missing or something else.
    """
    try:
        places = [
            (each["width"], each["task"], each["row"]) for each in json.loads((home / TABLE).read_text())["pairs"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{home / TABLE} can't be read; `python -m pipeline.atlas` makes it anew") from error
    pairs = [of_place(placed(home, place), home, results, rates) for place in places]
    return Atlas(pairs, ordered((each.found.task for each in pairs), tasks), widths(pairs))


def of_place(found: Placed, home: Path, results: Path, rates: Sequence[float]) -> Pair:
    """Return a pair with its trials."""
    earlier = bool(rates and found.rate and tuple(found.rate.rates) != tuple(rates))
    folder = home / found.width / f"{found.task}-{found.name}/search"
    trials = read_trials(folder / "trials.csv") if found.horizon else ()
    return Pair(
        found, trials, verdict(results / "explain" / f"{found.task}-{found.name}" / "explanation.json"), earlier
    )


def verdict(path: Path) -> str | None:
    """Return why seeds of the same pair fail with tuned settings; None where nobody trained them again."""
    try:
        return read_explanation(path).verdict if path.exists() else None
    except UserError:
        return None


def widths(pairs: Sequence[Pair]) -> list[str]:
    """Return the widths, numbers first."""
    return sorted({each.found.width for each in pairs}, key=lambda width: (not width.isdigit(), width.zfill(6)))


def ordered(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """Return names without repeats: those of `first` in its order, then the others."""
    there = set(names)
    return [name for name in first if name in there] + sorted(there - set(first))


def costs(atlas: Atlas) -> Mapping[str, float]:
    """Return what each width took in all [million steps]."""
    return {width: sum(each.cost for each in atlas.pairs if each.found.width == width) for width in atlas.widths}
