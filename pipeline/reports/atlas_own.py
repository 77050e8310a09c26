"""One cell among all others: a line for each task, and a picture of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import replaced
from pipeline.figures import style
from pipeline.records.labels import label
from pipeline.records.wording import probability
from pipeline.reports.atlas import picture
from pipeline.reports.atlas_order import rank
from pipeline.reports.atlas_pairs import TABLE, Atlas, Pair, read_pairs
from pipeline.settings.destination import shown

KINDS = ("svg", "png")


def place_cell(home: Path, results: Path, tasks: Sequence[str], name: str) -> list[str]:
    """Draw one cell among the published ones, and return a line for each task and one for each file.

    `home` is the folder of its own pairs.
    """
    own = read_pairs(home, results, tasks)
    published = read_published(results, tasks)
    lines = [line(pair, rivals(pair, published)) for pair in own.searched if pair.found.name == name]
    both = merged(own, published)
    with replaced(home, whole=False) as folder:
        for width in own.widths:
            for kind in KINDS:
                style.save(picture(both, width, name), folder / f"among-{width}.{kind}")
    return [*lines, *(f"picture: {shown(home / f'among-{width}.{kind}')}" for width in own.widths for kind in KINDS)]


def read_published(results: Path, tasks: Sequence[str]) -> Atlas:
    """Return the published atlas; an empty one where there is none."""
    home = results / "atlas"
    return read_pairs(home, results, tasks) if (home / TABLE).exists() else Atlas((), tasks, ())


def merged(own: Atlas, published: Atlas) -> Atlas:
    """Return the own pairs and the published ones that were searched; of a pair that is in both, the own one."""
    mine = {each.name for each in own.pairs}
    wanted = {(width, task) for width in own.widths for task in own.where(width)}
    others = [each for each in published.searched if each.name not in mine]
    there = [each for each in others if (each.found.width, each.found.task) in wanted]
    return replace(own, pairs=[*own.pairs, *there])


def rivals(pair: Pair, published: Atlas) -> list[Pair]:
    """Return the published pairs of other cells that answer the same question."""
    others = (each for each in published.searched if each.found.name != pair.found.name)
    return [each for each in others if question(each) == question(pair)]


def question(pair: Pair) -> tuple[object, ...]:
    """Return what two pairs must have in common to be compared."""
    found = pair.found.horizon
    assert found is not None
    return pair.found.width, pair.found.task, found.budget, found.goal, found.level


def line(pair: Pair, others: Sequence[Pair]) -> str:
    """Return where a cell stands on one task, in words."""
    task = label(pair.found.task)
    if pair.drawn is None:
        raise UserError(f"{pair.title} was not searched")
    if not others:
        return f"{task}: horizon {pair.answer}; no published cell has answered the same question"
    found = rank(pair.drawn, [each.drawn for each in others if each.drawn is not None])
    told = f"{task}: horizon {pair.answer}, place {found.place} of {found.count} with probability"
    unable = " (it can't represent the task)" if pair.square.cannot else ""
    return f"{told} {probability(found.probability)}, 90% within {found.lower} to {found.upper}{unable}"
