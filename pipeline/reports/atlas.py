"""results/atlas/index.html: cells against tasks, families in their order, every pair, and files to take away."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import product
from math import log2
from pathlib import Path
from textwrap import fill
from typing import Any

from pipeline.base.files import replaced
from pipeline.cells.cell import KINDS
from pipeline.figures import style
from pipeline.figures.atlas import LEGEND, draw_atlas
from pipeline.records.horizon import HorizonRecord
from pipeline.records.labels import label
from pipeline.records.wording import REASONS, phrase, probability
from pipeline.reports.atlas_order import LEVEL, Share, families
from pipeline.reports.atlas_pairs import Atlas, Pair, costs, read_pairs
from pipeline.reports.render import rendered
from pipeline.reports.take_away import ESCAPED, ends, links

WORDS, BESIDE = 18, 8  # signs of the legend that fit below a column, and beside the outer ones

Order = Mapping[tuple[str, str], Share]


def write_atlas(home: Path, results: Path, tasks: Sequence[str], rates: Sequence[float] = ()) -> Atlas:
    """Write the page of an atlas and its files to take away, from what is in its folder; return its pairs.

    A pair whose learning rate was chosen among others than `rates` is marked as an earlier one.
    """
    atlas = read_pairs(home, results, tasks, rates)
    with replaced(home, whole=False) as folder, replaced(home / "take_away") as taken:
        content = {"atlas.csv": as_csv(atlas), "atlas.tex": as_latex(atlas)}
        for width in atlas.widths:
            style.save(picture(atlas, width), taken / f"atlas-{width}.svg")
            content[f"atlas-{width}.svg"] = (taken / f"atlas-{width}.svg").read_text()
        for name in ("atlas.csv", "atlas.tex"):
            (taken / name).write_text(content[name])
        (folder / "index.html").write_text(page(atlas, content))
    return atlas


def page(atlas: Atlas, content: Mapping[str, str]) -> str:
    """Return index.html: everything in one file."""
    return rendered(
        "atlas.html",
        atlas=atlas,
        orders=orders(atlas),
        rows=sorted({each.found.name for each in atlas.pairs}),
        earlier=any(each.earlier for each in atlas.searched),
        verdicts=any(each.verdict for each in atlas.searched),
        level=LEVEL,
        kinds=KINDS,
        costs=costs(atlas),
        heading=heading,
        label=label,
        phrase=phrase,
        share=share,
        reasons=REASONS,
        points=points,
        take_away=links(content),
    )


def orders(atlas: Atlas) -> dict[tuple[str, str], Order]:
    """Return the order of families on each task of each width, as far as two of them were searched there."""
    found = {
        (width, task): families(atlas.beliefs(width, task), atlas.kinds)
        for width in atlas.widths
        for task in atlas.where(width)
    }
    return {place: order for place, order in found.items() if order}


def share(found: Share | None) -> str:
    """Return a share in words: `0.83 (0.75 to 0.9)`."""
    if found is None:
        return ""
    return f"{probability(found.mean)} ({probability(found.lower)} to {probability(found.upper)})"


def heading(width: str) -> str:
    """Return what a width is called."""
    return f"{width} units a layer" if width.isdigit() else "As many weights as an LSTM of 32 units"


def points(pair: Pair) -> dict[str, Any]:
    """Return where the small figure of a pair has its trials and its interval, in a box of 300 by 100."""
    assert pair.found.horizon is not None
    lengths = [trial.length for trial in pair.trials]
    low, high = min(lengths) / 1.3, max(lengths) * 1.3
    known = pair.found.horizon.t50

    def across(length: float) -> float:
        octaves = (log2(length) - log2(low)) / (log2(high) - log2(low))
        return round(300 * min(max(octaves, 0.0), 1.0), 1)

    trials = [
        {"x": across(trial.length), "y": round(92 - 84 * trial.share, 1), "length": trial.length, "share": trial.share}
        for trial in pair.trials
    ]
    left, right = across(known.lower or low), across(known.upper or high)
    return {"trials": trials, "left": left, "width": round(right - left, 1), "ends": (min(lengths), max(lengths))}


def picture(atlas: Atlas, width: str, own: str | None = None) -> Any:
    """Return the picture of one width."""
    of, tasks, rows = atlas.of(width), atlas.where(width), atlas.rows(width)
    squares = {
        (label(row), label(task)): of[row, task].square for row, task in product(rows, tasks) if (row, task) in of
    }
    note = fill(LEGEND, WORDS * len(tasks) + BESIDE)
    return draw_atlas([label(row) for row in rows], [label(task) for task in tasks], squares, own and label(own), note)


def as_csv(atlas: Atlas) -> str:
    """Return one row a pair; what is not known is empty."""
    rows = [csv_row(pair) for pair in atlas.pairs]
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def csv_row(pair: Pair) -> dict[str, object]:
    """Return the numbers of a pair: lengths in the steps of its task, compute in replicas x updates x length."""
    found, rate = pair.found.horizon, pair.found.rate
    place = {"width": pair.found.width, "task": pair.found.task, "row": pair.found.name}
    rated = {"learning_rate": rate.chosen, "compute_of_rate": rate.cost, "earlier": int(pair.earlier)} if rate else {}
    return {**place, **ends("t50", found.t50 if found else None), **rated, **(csv_facts(found) if found else {})}


def csv_facts(found: HorizonRecord) -> dict[str, object]:
    """Return what is known of a pair that was searched."""
    known = {
        "kind": found.kind,
        "layers": found.layers,
        "level": found.level,
        "updates": found.budget,
        "trials": found.trials,
        "replicas": found.replicas,
        "longest_allowed": found.length_max,
        "compute": found.compute,
        "signature": found.signature or "",
        "tied": " ".join(found.tied),
        "cannot_represent": found.cannot_represent or "",
    }
    return known | {f"t50_at_{each.budget}": each.best_known for each in found.by_budget}


def as_latex(atlas: Atlas) -> str:
    """Return a tabular with booktabs' rules for each width."""
    parts = []
    for width in atlas.widths:
        of, tasks = atlas.of(width), atlas.where(width)
        rows = [
            [label(row), *(of[row, task].answer if (row, task) in of else "" for task in tasks)]
            for row in atlas.rows(width)
        ]
        lines = [
            " & ".join(text.translate(ESCAPED) for text in each) + r" \\" for each in (["", *map(label, tasks)], *rows)
        ]
        begin = rf"\begin{{tabular}}{{l{'l' * len(tasks)}}}"
        parts += [f"% {heading(width)}: median and interval of the length that half of the seeds solve.", begin]
        parts += [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(parts)
