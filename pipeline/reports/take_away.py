"""The horizons as files to take away: CSV for a program, LaTeX for a paper, and a BibTeX entry to cite them."""

import base64
import csv
import io
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline.horizon.estimate import Estimate
from pipeline.records.labels import label
from pipeline.records.wording import phrase
from pipeline.reports.comparison import Comparison
from pipeline.reports.pairs import Pair
from pipeline.reports.table import again_phrase
from pipeline.settings.places import ROOT

TYPES = {".csv": "text/csv", ".tex": "application/x-tex", ".bib": "application/x-bibtex", ".svg": "image/svg+xml"}
ESCAPED = str.maketrans({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#"})


def files(grid: Comparison) -> dict[str, str]:
    """Return the content of every file by its name."""
    return {"horizons.csv": as_csv(grid), "horizons.tex": as_latex(grid), "citation.bib": as_bibtex()}


def as_csv(grid: Comparison) -> str:
    """Return one row a pair; an end that is not known is empty."""
    rows = [row(grid, pair) for pair in grid.pairs]
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def row(grid: Comparison, pair: Pair) -> dict[str, object]:
    """Return the numbers of a pair: lengths in the steps of its task, compute in replicas x updates x length."""
    horizon = pair.horizon
    again = {"retuned": grid.another[pair.name].t50 if pair.name in grid.another else None}
    estimates = {"t50": horizon.t50, **again, "t90": horizon.t90, "t50_loose": horizon.loose.t50}
    numbers = {name: value for key, each in estimates.items() for name, value in ends(key, each).items()}
    return {
        "task": horizon.task,
        "cell": horizon.cell,
        **numbers,
        "level": horizon.level,
        "goal": horizon.goal,
        "loose_goal": horizon.loose.goal,
        "updates": horizon.budget,
        "trials": horizon.trials,
        "replicas": horizon.replicas,
        "compute": horizon.compute,
        "warnings": len(horizon.diagnostics),
    }


def ends(name: str, each: Estimate | None) -> dict[str, object]:
    """Return median, both ends and the censoring of an estimate, under names that begin with its own."""
    known = {end: getattr(each, end, None) for end in ("median", "lower", "upper", "censored")}
    return {f"{name}_{end}": "" if value is None else value for end, value in known.items()}


def as_latex(grid: Comparison) -> str:
    """Return a tabular with booktabs' rules."""
    head = ["task", "cell", "horizon", "with the luck of tuning"]
    rows = [
        [label(pair.horizon.task), pair.label, phrase(pair.horizon.t50), again_phrase(grid, pair)]
        for pair in grid.pairs
    ]
    lines = [" & ".join(text.translate(ESCAPED) for text in each) + r" \\" for each in (head, *rows)]
    caption = f"% Median and {grid.level:.0%} credible interval of the length that half of the seeds solve."
    begin, end = r"\begin{tabular}{llll}", r"\end{tabular}"
    return "\n".join([caption, begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end, ""])


def as_bibtex(file: Path = ROOT / "CITATION.cff") -> str:
    """Return CITATION.cff as an entry."""
    cited = yaml.safe_load(file.read_text())
    authors = " and ".join(f"{{{each['name']}}}" for each in cited["authors"])
    fields = {"title": cited["title"], "author": authors, "version": cited["version"]}
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@software{{horizon,\n{body}\n}}\n"


def links(content: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the name and an address that holds all of it, for each file."""
    return [
        {"name": name, "address": f"data:{TYPES[Path(name).suffix]};base64,{base64.b64encode(text.encode()).decode()}"}
        for name, text in content.items()
    ]
