"""The table of horizons: one list of columns for Markdown and for the page."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.horizon.estimate import Estimate
from pipeline.records.labels import label
from pipeline.records.wording import (
    cost_phrase,
    growth_phrase,
    law_phrase,
    ninety_phrase,
    phrase,
    plain_phrase,
    verdict_phrase,
    words,
)
from pipeline.reports.comparison import Comparison
from pipeline.reports.pairs import Pair

EVERYWHERE = ("page", "markdown")
DASH = "–"
ORDER = "Which cell has the longer horizon:"
ORDER_AGAIN = "Which cell has the longer horizon, with the luck of tuning:"
NOT_AGAIN = (
    "Not tuned again (`python -m pipeline.retune task=… cell=…`), so the spread of the other pairs' tunings counts:"
)
PLAIN = "With plain settings, for they were not tuned (`python -m pipeline.tune`), so without the luck of a tuning:"
BEYOND = "Tuned to an end of what was tried (tune.space and tune.cells), so other settings may reach farther:"
CANNOT = "∗ Horizons that say nothing about gradients:"
DOUBTED = "† Its trials speak against a curve that falls in one step, so this interval allows for a dip and a plateau:"
TIED = "Settings of the cell that followed each trial's length; with fixed ones the horizon is another:"
LEGEND = (
    "Horizon T50: the length that half of the seeds solve, median and {level:.0%} credible interval; *above* and "
    "*below*: beyond the lengths that were tried. Solved: an error below {goals} within {budgets} updates. "
    "With the luck of tuning: where T50 of one more tuning lies ({choices}). "
    "Why seeds fail, at a length that one in eight solves: by what rescues them and by their gradients "
    "(`python -m pipeline.explain`). "
    "Twice the updates gain: octaves of T50 from half of the budget to all of it; near 0 it stands at a wall."
)


def _plain(pair: Pair, text: str) -> Markup:
    return escape(text)


@dataclass(frozen=True)
class Column:
    """One column: what it says of a pair, and by which number the page sorts it."""

    head: str
    text: Callable[[Comparison, Pair], str]
    key: Callable[[Comparison, Pair], float | int | None] | None = None  # None: by its text
    html: Callable[[Pair, str], Markup] = _plain
    where: tuple[str, ...] = ("page",)

    def sort_key(self, grid: Comparison, pair: Pair) -> float | int | None:
        """Return the number by which the page sorts; None where it sorts by the text."""
        return self.key(grid, pair) if self.key else None

    def cell(self, grid: Comparison, pair: Pair) -> Markup:
        """Return what the page shows."""
        return self.html(pair, self.text(grid, pair))


def marks(pair: Pair) -> str:
    """Return the marks beside a horizon: what it does not say, and that its interval is of a wider belief."""
    return (" ∗" if pair.horizon.cannot_represent else "") + (" †" if pair.horizon.diagnostics else "")


def place(estimate: Estimate) -> float:
    """Return a number by which estimates are sorted: the median, or the limit beyond which it lies."""
    return -1.0 if estimate.best_known is None else float(estimate.best_known)


def again_phrase(grid: Comparison, pair: Pair) -> str:
    """Return where the horizon of one more tuning lies; a dash where nobody can tell."""
    return phrase(grid.another[pair.name].t50) if pair.name in grid.another else DASH


def _again_key(grid: Comparison, pair: Pair) -> float | None:
    return place(grid.another[pair.name].t50) if pair.name in grid.another else None


def _growth_key(grid: Comparison, pair: Pair) -> float | None:
    return pair.horizon.elasticity[-1].median if pair.horizon.elasticity else None


def _law_key(grid: Comparison, pair: Pair) -> float | None:
    return pair.horizon.learning_time.exponent if pair.horizon.learning_time else None


def _linked(pair: Pair, text: str) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(pair.name, text)


def _flagged(pair: Pair, text: str) -> Markup:
    flag = Markup('<a class="flag" href="#{}">{}</a>').format(pair.name, text)
    return flag if pair.horizon.diagnostics else escape(text)


COLUMNS = (
    Column("task", lambda grid, pair: label(pair.horizon.task), where=EVERYWHERE),
    Column("cell", lambda grid, pair: pair.label, html=_linked, where=EVERYWHERE),
    Column(
        "horizon T50",
        lambda grid, pair: phrase(pair.horizon.t50) + marks(pair),
        lambda grid, pair: place(pair.horizon.t50),
        lambda pair, text: Markup("<strong>{}</strong>").format(text),
        EVERYWHERE,
    ),
    Column("with the luck of tuning", again_phrase, _again_key, where=EVERYWHERE),
    Column("why seeds fail", lambda grid, pair: verdict_phrase(pair.explanation), html=_linked, where=EVERYWHERE),
    Column("twice the updates gain", lambda grid, pair: growth_phrase(pair.horizon), _growth_key, where=EVERYWHERE),
    Column("with plain settings", lambda grid, pair: plain_phrase(pair.horizon)),
    Column("T90", lambda grid, pair: ninety_phrase(pair.horizon), lambda grid, pair: place(pair.horizon.t90)),
    Column("learning time", lambda grid, pair: law_phrase(pair.horizon), _law_key),
    Column(
        "T50 at the easier goal",
        lambda grid, pair: f"{phrase(pair.horizon.loose.t50)} at {pair.horizon.loose.goal:g}",
        lambda grid, pair: place(pair.horizon.loose.t50),
    ),
    Column("updates", lambda grid, pair: str(pair.horizon.budget), lambda grid, pair: pair.horizon.budget),
    Column("trials", lambda grid, pair: str(pair.horizon.trials), lambda grid, pair: pair.horizon.trials),
    Column("cost of the tuning", lambda grid, pair: cost_phrase(pair.horizon)),
    Column(
        "warnings",
        lambda grid, pair: str(len(pair.horizon.diagnostics) or "none"),
        lambda grid, pair: len(pair.horizon.diagnostics),
        _flagged,
    ),
)
"""The page shows all of them, those that are for Markdown too first, the others on demand."""


def columns(where: str) -> list[Column]:
    """Return the columns of the "page", or of the "markdown" file."""
    return [column for column in COLUMNS if where in column.where]


def table(grid: Comparison) -> str:
    """Return horizons.md: one row a pair, and the order of the cells on each task."""
    shown = columns("markdown")
    head = [column.head for column in shown]
    rows = [[column.text(grid, pair) for column in shown] for pair in grid.pairs]
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    lines.insert(1, f"|{'---|' * len(head)}")
    told = {
        ORDER_AGAIN if grid.another else ORDER: [grid.order(task) for task in grid.rankings],
        PLAIN: [pair.title for pair in grid.pairs if grid.another and pair.name not in grid.another],
        NOT_AGAIN: [pair.title for pair in grid.pairs if pair.name in grid.another and not pair.choices],
        CANNOT: [f"{pair.label} {why}" for pair in grid.pairs if (why := pair.horizon.cannot_represent)],
        DOUBTED: [f"{pair.title}: {why}" for pair in grid.pairs for why in pair.horizon.diagnostics],
        TIED: [f"{pair.title}: {', '.join(pair.horizon.tied)}" for pair in grid.pairs if pair.horizon.tied],
        BEYOND: [f"{pair.title}: {words(pair.at_boundary)}" for pair in grid.pairs if pair.at_boundary],
    }
    more = [
        line
        for title, entries in told.items()
        if entries
        for line in ("", title, "", *(f"- {entry}" for entry in entries))
    ]
    goals = sorted({pair.horizon.goal for pair in grid.pairs})
    budgets = sorted({pair.horizon.budget for pair in grid.pairs})
    said = {"goals": " or ".join(f"{goal:g}" for goal in goals), "budgets": " or ".join(map(str, budgets))}
    legend = LEGEND.format(level=grid.level, choices=count_of_choices(grid), **said)
    return "\n".join([*lines, "", legend, *more, ""])


def count_of_choices(grid: Comparison) -> str:
    """Return how many tunings are known, in words."""
    counts = {len(pair.choices) + 1 for pair in grid.pairs if pair.name in grid.another}
    return f"{' or '.join(map(str, sorted(counts)))} tunings of each pair" if counts else "none was tuned again"
