"""The report: the table of horizons, the figures that compare pairs, and the page that shows everything."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base.files import replaced, write_json
from pipeline.figures import interactive, style
from pipeline.figures.comparison import overview
from pipeline.figures.growth import by_budget
from pipeline.figures.tuning import learning_rates
from pipeline.records.labels import label
from pipeline.records.wording import REASONS, cost_phrase, phrase, verdict_phrase, words
from pipeline.reports.comparison import Comparison, compare
from pipeline.reports.pairs import Pair, read_pairs
from pipeline.reports.render import rendered
from pipeline.reports.svg import inline
from pipeline.reports.table import again_phrase, columns, count_of_choices, table
from pipeline.reports.take_away import files, links
from pipeline.settings import Settings

HALF = 0.5  # share of the replicas from which on a length counts as solved


def write_report(settings: Settings) -> None:
    """Write results/report/ from results/pairs/."""
    found = compare(read_pairs(settings.results))
    target = settings.results / "report"
    with (
        replaced(target, whole=False) as folder,
        replaced(target / "figures") as drawn,
        replaced(target / "take_away") as taken,
    ):
        draw(folder, drawn, found)
        for name, content in files(found).items():
            (taken / name).write_text(content)
        write_json(folder / "horizons.json", found.to_json())
        (folder / "horizons.md").write_text(table(found))
        (folder / "index.html").write_text(page(folder, drawn, settings.results / "pairs", found))
    print(f"{target / 'index.html'}: {len(found.pairs)} horizons")


def draw(folder: Path, drawn: Path, grid: Comparison) -> None:
    """Return the figures that compare pairs."""
    again = {name: another.t50 for name, another in grid.another.items()}
    style.save(overview([pair.horizon for pair in grid.pairs], grid.labels, again), folder / "overview.svg")
    for task in grid.tasks:
        same = [pair.horizon for pair in grid.of(task)]
        style.save(by_budget(same, grid.labels, again), drawn / f"by_budget-{task}.svg")
        if any(horizon.tuned for horizon in same):
            style.save(learning_rates(same, grid.labels), drawn / f"learning_rate-{task}.svg")


def page(folder: Path, drawn: Path, pairs: Path, grid: Comparison) -> str:
    """Return index.html: everything in one file. `folder`, `drawn` and `pairs` hold the figures."""
    return rendered(
        "report.html",
        grid=grid,
        columns=columns("page"),
        folder=folder,
        drawn=drawn,
        pictures=pairs,
        opening=opening(grid),
        take_away=links(files(grid)),
        choices=count_of_choices(grid),
        reasons=REASONS,
        phrase=phrase,
        label=label,
        words=words,
        cost_phrase=cost_phrase,
        again_phrase=again_phrase,
        verdict_phrase=verdict_phrase,
        drawing=inline,
        library=interactive.library(),
        explored=safe({"pairs": [explored(pair) for pair in grid.pairs], "charts": charts(grid)}),
    )


def opening(grid: Comparison) -> Pair:
    """Return the pair with which the charts begin: the one that shows both outcomes most, trials solved and failed."""

    def both(pair: Pair) -> int:
        solved = sum(trial.share >= HALF for trial in pair.trials)
        return min(solved, len(pair.trials) - solved)

    return max(grid.pairs, key=both)


def explored(pair: Pair) -> dict[str, Any]:
    """Return what the interactive charts show of one pair."""
    return {
        "task": pair.horizon.task,
        "cell": pair.label,
        "curves": pair.curve,
        "points": interactive.points(pair.trials),
        "lines": interactive.lines(pair.trials, pair.paths),
    }


def charts(grid: Comparison) -> dict[str, Any]:
    """Return the interactive charts."""
    return {
        "shares": interactive.shares_chart(list(grid.labels.values())),
        "gradients": interactive.gradients_chart(),
    }


def safe(content: Mapping[str, Any]) -> str:
    """Return JSON that may stand inside a <script> element."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
