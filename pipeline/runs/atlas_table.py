"""results/atlas/horizons.md and horizons.json: every pair that has been placed, and which have not."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.base.files import replaced, write_json
from pipeline.cells.cell import KINDS
from pipeline.records.atlas_places import NOT_RUN, Place, Placed, read_atlas
from pipeline.records.labels import label

LEGEND = """\
Horizon T50: the length that half of the replicas solve within {budget} updates, with its {level:.0%} credible interval;
*above* and *below*: beyond the lengths that were tried. Every cell has the settings of its file in conf/cell, which are
the published ones where there are such, Adam, and one learning rate of its own: that which came farthest when
{rates} rates climbed doubling lengths, {seeds} seeds each, at the same cost for every cell (conf/atlas.yaml).
Nothing else is tuned, so a cell that is behind another one here may be before it with other settings.
"""
MIXED = """
Rows with other numbers of rates are of other runs, whose code, replicas and lengths may differ (made_by in rate.json).
"""
HEAD = ("task", "row", "T50", "learning rate", "a layer is", "initial weights", "tied to the length", "why it fails")


def row_of(each: Placed) -> tuple[str, ...]:
    """Return the row of a pair in the long table."""
    found, settings, rate = each.horizon, each.settings, each.rate
    if not found or not settings or not rate:
        return (label(each.task), each.name, NOT_RUN, f"{rate.chosen:g}" if rate else "", *[""] * 4)
    why = "∗" if found.cannot_represent else found.signature or ""
    return (
        label(each.task),
        each.name,
        each.answer,
        f"{rate.chosen:g} of {len(rate.rates)}" + (", at an end" if rate.at_end else ""),
        found.kind,
        str(settings.cell.get("init", "")),
        ", ".join(found.tied) or "nothing",
        why,
    )


def write_table(home: Path, planned: Iterable[Place]) -> None:
    """Write the table of all pairs that are in the folder of an atlas or were planned."""
    found = read_atlas(home, planned)
    with replaced(home, whole=False) as folder:
        write_json(folder / "horizons.json", {"pairs": [each.to_json() for each in found]})
        (folder / "horizons.md").write_text(text(found))


def text(found: Sequence[Placed]) -> str:
    """Return horizons.md."""
    known = [each for each in found if each.horizon]
    parts = [f"{len(known)} of {len(found)} pairs have been searched."]
    if known:
        parts.append(legend(known).strip())
    for width in dict.fromkeys(each.width for each in found):
        parts += [f"## {heading(width)}", matrix([each for each in found if each.width == width])]
        parts.append(table(HEAD, [row_of(each) for each in found if each.width == width]))
    horizons = [each.horizon for each in known if each.horizon]
    limits = sorted({f"- {each.cell} {each.cannot_represent}" for each in horizons if each.cannot_represent})
    parts += ["∗ Horizons that say nothing about gradients:", "\n".join(limits)] if limits else []
    kinds = sorted({each.kind for each in horizons if each.kind})
    parts += ["What a layer is:", "\n".join(f"- {kind}: {KINDS[kind]}" for kind in kinds)] if kinds else []
    return "\n\n".join(parts) + "\n"


def legend(known: Sequence[Placed]) -> str:
    """Return what the numbers are."""
    horizons, rates = [each.horizon for each in known if each.horizon], [each.rate for each in known if each.rate]
    numbers = {"budget": {each.budget for each in horizons}, "rates": {len(each.rates) for each in rates}}
    numbers["seeds"] = {each.seeds for each in rates}
    words = {name: " or ".join(map(str, sorted(found))) for name, found in numbers.items()}
    mixed = MIXED.strip() if len(numbers["rates"]) > 1 else ""
    return LEGEND.format(**words, level=horizons[0].level) + mixed


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
