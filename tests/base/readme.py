"""The pages of the project; `python -m tests.base.readme` fills their tables from the files of results."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = (  # README, and what it leads to
    ROOT / "README.md",
    ROOT / "conf/README.md",
    *sorted(ROOT.glob("pipeline/*/README.md")),
    ROOT / "results/README.md",
)
CLUSTER = ROOT / "pipeline/executors/README.md"  # needs servers, so tests/services types it in
CELLS = ("rnn", "gru", "lstm")


def horizons() -> str:
    """The report's table with its legend."""
    return (ROOT / "results/report/horizons.md").read_text().strip()


def search() -> str:
    """The goals of the simulated search."""
    goals = json.loads((ROOT / "results/benchmarks/search.json").read_text())["goals"]
    lines = ["| simulated | measured | goal | |", "|---|---|---|---|"]
    lines += [
        f"| {g['name']} | {g['measured']:.3f} | {_sign(g)} {g['goal']:g} | {_mark(g['reached'])} |" for g in goals
    ]
    return "\n".join(lines)


def kernels() -> str:
    """The claims of the training core, a column a cell."""
    claims = json.loads((ROOT / "results/benchmarks/kernels.json").read_text())["claims"]
    lines = ["| one thread, R = 16, H = 64, B = 32, medians | RNN | GRU | LSTM |", "|---|---|---|---|"]
    lines += [f"| {claim['what']} | {' | '.join(_cell(claim, cell) for cell in CELLS)} |" for claim in claims]
    return "\n".join(lines)


def cells() -> str:
    """Every cell of conf/cell: what its docstring calls it, what a layer is, and how it begins."""
    from pipeline.settings import compose

    lines = [
        "| `cell=` | what it is | a layer is | layers | initial weights | tied to the length |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted(path.stem for path in (ROOT / "conf/cell").glob("*.yaml")):
        cell = compose(f"cell={name}").cell
        what = " ".join(str(type(cell).__doc__).split("\n\n")[0].split()).removesuffix(".")
        said = (cell.kind or "not known", getattr(cell, "layers", 1), cell.init, ", ".join(cell.tied))
        lines.append(f"| {name} | {what} | {' | '.join(str(each) for each in said)} |")
    return "\n".join(lines)


def blocks(language: str) -> list[str]:
    """Every fenced block of the pages, but for those on clusters."""
    pages = "\n".join(page.read_text() for page in PAGES if page != CLUSTER)
    return re.findall(rf"```{language}\n(.*?)```", pages, flags=re.DOTALL)


def filled(text: str) -> str:
    """A page with every marked section as its file says."""
    for name, section in {"horizons": horizons, "search": search, "kernels": kernels, "cells": cells}.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin in text:
            text = re.sub(rf"{begin}.*?{end}", lambda _: f"{begin}\n{section()}\n{end}", text, flags=re.DOTALL)  # noqa: B023
    return text


def _cell(claim: Mapping[str, Any], cell: str) -> str:
    measured, goal = claim["measured"][cell], claim["goal"][cell]
    reached = measured >= goal if claim["at_least"] else measured <= goal
    return f"{measured:.3g} ({_sign(claim)} {goal:g}){'' if reached else ' **no**'}"


def _sign(claim: Mapping[str, Any]) -> str:
    return "≥" if claim["at_least"] else "≤"


def _mark(reached: bool) -> str:
    return "" if reached else "**no**"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
