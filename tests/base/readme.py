"""The pages of the project; `python -m tests.base.readme` fills their tables from the files of results."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.records.horizon import read_horizon
from pipeline.records.wording import phrase

ROOT = Path(__file__).parents[2]
PAGES = (  # README, and what it leads to
    ROOT / "README.md",
    ROOT / "conf/README.md",
    *sorted(ROOT.glob("pipeline/*/README.md")),
    ROOT / "results/README.md",
)
CLUSTER = ROOT / "pipeline/executors/README.md"  # needs servers, so tests/services types it in
EDITS = {"tune": ["conf/tuned/*-*.yaml"], "retune": ["results/retune"]}  # no outs: see pipeline/dvc/tuning
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


def compiled() -> str:
    """Every cell's generated passes."""
    from tests.benchmarks.kernels_table import table

    report = json.loads((ROOT / "results/benchmarks/kernels_compiled.json").read_text())
    lines = [f"| {' | '.join(line)} |" for line in table(report["rows"])]
    return "\n".join([lines[0], "|---" * lines[0].count(" | ") + "|---|", *lines[1:]])


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


def example() -> str:
    """What a horizon says, of the first pair whose horizon is no bound."""
    for pair in ("temporal_order-lstm", "adding-lstm", "copy-lstm", "temporal_order-rnn", "copy-rnn", "adding-rnn"):
        found = read_horizon(ROOT / f"results/search/{pair}/horizon.json")
        if not found.t50.censored and found.t50.median and found.t50.lower and found.t50.upper:
            break
    task, cell = found.task.replace("_", " "), found.cell.upper()
    lower, upper = (f"{each:.0f}" for each in (found.t50.lower, found.t50.upper))
    return "\n".join(
        [
            f"> {cell} on {task}: {phrase(found.t50)}",
            "",
            f"Half of the seeds of this {cell} solve sequences of {found.t50.median:.0f} steps. With {found.level:.0%} "
            f"probability the true length lies between",
            f"{lower} and {upper}.",
        ]
    )


def graph() -> str:
    """The stages of dvc.yaml and of `make tune` with what each reads of another, as a diagram of Mermaid."""
    stages = {
        name: stage
        for file in ("dvc.yaml", "pipeline/dvc/tuning/dvc.yaml")
        for name, stage in yaml.safe_load((ROOT / file).read_text())["stages"].items()
        if name != "code"  # every stage reads its digests
    }
    writes = {name: [*_paths(stage, "outs", "metrics"), *EDITS.get(name, ())] for name, stage in stages.items()}
    lines = [f'  {name}["{name}: {_short(stage["desc"])}"]' for name, stage in stages.items()]
    for reader, stage in stages.items():
        reads = _paths(stage, "deps")
        lines += [
            f"  {writer} --> {reader}"
            for writer in stages
            if writer != reader and any(_within(a, b) or _within(b, a) for a in writes[writer] for b in reads)
        ]
    return "\n".join(["```mermaid", "graph LR", *lines, "```"])


def _paths(stage: Mapping[str, Any], *groups: str) -> list[str]:
    """The paths of a stage, where each task and cell is a star."""
    entries = [entry for group in groups for entry in stage.get(group, ())]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [re.sub(r"\$\{item\.(task|cell)\}", "*", name) for name in names]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _short(description: str) -> str:
    return re.split(r"[,;]| of one cell| with its| for one cell", description)[0]


def blocks(language: str) -> list[str]:
    """Every fenced block of the pages, but for those on clusters."""
    pages = "\n".join(page.read_text() for page in PAGES if page != CLUSTER)
    return re.findall(rf"```{language}\n(.*?)```", pages, flags=re.DOTALL)


def filled(text: str) -> str:
    """A page with every marked section as its file says."""
    for name, section in {
        "horizons": horizons,
        "search": search,
        "kernels": kernels,
        "compiled": compiled,
        "cells": cells,
        "example": example,
        "graph": graph,
    }.items():
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
