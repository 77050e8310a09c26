"""The simulation of the search: what it costs and how often it is right, beside other ways to ask.

`python -m tests.benchmarks.search` prints the tables and writes results/benchmarks/search.json; `--cells 400` is
the size that the goals speak of. Cells are made up (search_truth.py): the true horizon is known. `--tables` takes some
of the tables, then without the goals. Each table is written when it is done; a file of that size is gone on with.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import optuna
from numpy.random import Generator

from pipeline.horizon.by_budget import at_budget
from pipeline.horizon.diagnostics import diagnostics
from pipeline.horizon.stopping import ninety_settled
from pipeline.horizon.t90 import ninety
from pipeline.study.sampler import HorizonSampler
from tests.benchmarks.search_designs import ASCENDING, BISECTION, FULL_GRID, GP, OURS, TPE, Design
from tests.benchmarks.search_simulation import OPTIONS, Outcome, SomeCell, current, simulate, simulate_crew
from tests.benchmarks.search_truth import (
    SHALLOW,
    Paced,
    Truth,
    dip,
    plateau,
    standard,
    watched,
)

RESULT = Path("results/benchmarks/search.json")
FIRST_SEED = 10_000  # of the made-up cells
PATIENT = 10**6  # trials that a baseline may take
BUDGETS = (250, 500)  # of 1000
Figures: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Goal:
    """A measured figure and what it is held to."""

    name: str
    measured: float
    goal: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"| {self.name} | {self.measured:.3f} | {sign} {self.goal} | {'yes' if self.reached else '**no**'} |"


def outcomes(
    cells: int, make: Callable[[Generator], SomeCell], design: Design = OURS, **changes: Any
) -> list[Outcome[SomeCell]]:
    """Return simulated searches of this many cells; the same cells for every design."""
    options = replace(OPTIONS, **changes)
    return [simulate(design, make(generator(cell)), options, cell) for cell in range(cells)]


def generator(cell: int) -> Generator:
    """Return the generator that a cell is drawn from."""
    return np.random.default_rng(FIRST_SEED + cell)


def figures(done: Sequence[Outcome[Any]]) -> Figures:
    """Return compute, coverage, error and share resolved of some searches."""
    located = [each.error for each in done if each.reason == "interval"]
    shallow = [each.covers for each in done if each.cell.slope > SHALLOW]
    return {
        "compute": mean(each.compute for each in done),
        "trials": mean(len(each.seen) for each in done),
        "coverage": mean(each.covers for each in done),
        "coverage, shallow": mean(shallow),
        "rmse": float(np.sqrt(mean(error**2 for error in located))),
        "bias": mean(located),
        "resolved": mean(each.resolved for each in done),
    }


def mean(values: Any) -> float:
    """Return the mean, NaN of nothing."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else float("nan")


def designs(cells: int) -> dict[str, Figures]:
    """Return the figures of every design, by name and factor."""
    rows = {}
    for factor in (1.2, 1.5, 2.0):
        rows[f"ours, {factor}"] = figures(outcomes(cells, standard, factor=factor))
        for design in (FULL_GRID, *ASCENDING, BISECTION) if factor < 2 else ():
            done = outcomes(cells, standard, design, factor=factor, trials=PATIENT)
            rows[f"{design.name}, {factor}"] = figures(done)
    return rows


def optimizers(cells: int) -> dict[str, Figures]:
    """Return the figures of Optuna's samplers within 120 trials, on fewer cells, beside ours on the same cells."""
    rows = {}
    for design, count in ((TPE, cells // 4), (GP, cells // 50)):
        there = figures(outcomes(count, standard, design))
        here = figures(outcomes(count, standard))
        rows[f"{design.name}, 1.5"] = there | {"compute over ours": there["compute"] / here["compute"]}
    return rows


def misspecified(cells: int) -> dict[str, Figures]:
    """Return the figures of ours on cells that are not as the model says, and how often a diagnostic fires."""
    makes: dict[str, Callable[[Generator], Truth]] = {
        "as the model": standard,
        "correlation .15": partial(standard, correlation=0.15),
        "plateau at .7": partial(plateau, share=0.3),
        "plateau at .3": partial(plateau, share=0.7),
        "dip": dip,
    }
    rows = {}
    for name, make in makes.items():
        for factor in (1.5, 1.2):
            done = outcomes(cells // 2, make, factor=factor)
            fired = mean(bool(diagnostics(each.seen, each.found)) for each in done)
            rows[f"{name}, {factor}"] = figures(done) | {"diagnostic fires": fired}
    return rows


def long_search(cells: int) -> dict[str, Figures]:
    """Return how often a diagnostic fires after 120 trials, which is more than a search takes."""
    makes: dict[str, Callable[[Generator], Truth]] = {
        "correlation .15": partial(standard, correlation=0.15),
        "plateau at .7": partial(plateau, share=0.3),
        "plateau at .3": partial(plateau, share=0.7),
    }
    rows = {}
    for name, make in makes.items():
        done = outcomes(cells // 10, make, factor=1.0001)
        rows[f"{name}, 120 trials"] = {"diagnostic fires": mean(bool(diagnostics(d.seen, d.found)) for d in done)}
    return rows


def censored(cells: int) -> dict[str, Figures]:
    """Return how often a horizon half an octave outside the range is called so."""
    ends = {"above": 11.5, "below": 1.5}
    rows = {}
    for side, theta in ends.items():
        done = outcomes(cells, partial(standard, theta=theta))
        rows[f"half an octave {side}"] = {"right": mean(each.reason == side for each in done)} | figures(done)
    return rows


def futility(cells: int, ours: Figures) -> dict[str, Figures]:
    """Return what an audited rule saves, and what a rule costs that is worse than it was thought."""
    rows = {}
    for misses in (0.01, 0.03, 0.2):
        done = outcomes(cells, partial(watched, hits=0.9, misses=misses))
        row = figures(done) | {"compute over ours": mean(each.compute for each in done) / ours["compute"]}
        off = mean(not each.cell.futility.trusted(each.cell.study) for each in done)
        rows[f"rule stops {misses:.0%} of late solvers"] = row | {"switched off": off}
    return rows


def crews(cells: int) -> dict[str, Figures]:
    """Return what several workers on one study cost."""
    alone = mean(each.compute for each in outcomes(cells, standard))
    rows = {}
    for workers in (2, 4):
        done = [simulate_crew(workers, standard(generator(cell)), OPTIONS, cell) for cell in range(cells)]
        row = figures(done)
        rows[f"{workers} workers"] = row | {"compute over ours": row["compute"] / alone}
    return rows


def second_goal(cells: int) -> dict[str, Figures]:
    """Return how T90 fares: coverage where it is called defined, how often settled, what it costs."""
    done = outcomes(cells // 2, standard, t90=True)
    beliefs = [ninety(each.seen, each.found.grid) for each in done]
    known = [belief.undefined < OPTIONS.certainty for belief in beliefs]
    inside = [
        belief.interval(OPTIONS.level)[0] <= true_ninety(each.cell) <= belief.interval(OPTIONS.level)[1]
        for belief, each, defined in zip(beliefs, done, known, strict=True)
        if defined
    ]
    extra = mean(sum(trial.aim == "t90" for trial in each.seen) for each in done)
    settled = mean(ninety_settled(belief, OPTIONS) for belief in beliefs)
    row = {"coverage": mean(inside), "called undefined": 1 - mean(known), "settled": settled, "extra trials": extra}
    return {"T90": row | {"compute": mean(each.compute for each in done)}}


def true_ninety(cell: Truth) -> float:
    """Return the octaves at which a curve falls below .9."""
    octaves = np.linspace(-10, 15, 25001)
    return float(octaves[np.argmax([cell.curve(x) < 0.9 for x in octaves])])


def smaller_budgets(cells: int) -> dict[str, Figures]:
    """Return the coverage of the horizon at a quarter and half of the budget, from the same trials."""

    def paced(draw: Generator) -> Paced:
        return Paced(draw.uniform(4, 10), float(np.exp(draw.uniform(np.log(0.06), np.log(0.6)))), pace=1.0)

    done = outcomes(cells, paced)
    rows = {}
    for budget in BUDGETS:
        intervals = [current(at_budget(each.seen, budget), each.options).interval(0.9) for each in done]
        truths = [each.cell.theta_at(budget) for each in done]
        inside = [low <= truth <= high for (low, high), truth in zip(intervals, truths, strict=True)]
        width = mean(high - low for low, high in intervals)
        rows[f"budget {budget / 1000:.0%}"] = {"coverage": mean(inside), "octaves": width}
    return rows


def ask_seconds(trials: int = 100) -> float:
    """Return the median time of one ask of HorizonSampler after this many trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler(4, 2048, factor=1.01))
    draw, cell, seconds = np.random.default_rng(0), standard(np.random.default_rng(0), theta=8.0), []
    for _ in range(trials + 10):
        begun = time.process_time()
        trial = study.ask()
        length = trial.suggest_int("length", 4, 2048, log=True)
        seconds.append(time.process_time() - begun)
        study.tell(trial, cell.trial(length, 4, draw).solved / 4)
    return float(np.median(seconds[trials:]))


TABLES: dict[str, Callable[[int, dict[str, dict[str, Figures]]], dict[str, Figures]]] = {
    "designs": lambda cells, _: designs(cells),
    "optimizers": lambda cells, _: optimizers(cells),
    "misspecified": lambda cells, _: misspecified(cells),
    "long": lambda cells, _: long_search(cells),
    "censored": lambda cells, _: censored(cells),
    "futility": lambda cells, done: futility(cells, done["designs"]["ours, 1.5"]),
    "workers": lambda cells, _: crews(cells),
    "t90": lambda cells, _: second_goal(cells),
    "by budget": lambda cells, _: smaller_budgets(cells),
}
"""Each from the number of cells and the tables before it."""


def goals(tables: dict[str, dict[str, Figures]]) -> list[Goal]:
    """Return every goal with what was measured."""
    return [*cost_goals(tables), *accuracy_goals(tables), *robustness_goals(tables)]


def cost_goals(tables: dict[str, dict[str, Figures]]) -> list[Goal]:
    """Return the goals on compute."""
    rows, found = tables["designs"], []
    for factor, limit in ((1.2, 0.15), (1.5, 0.20)):
        ours = rows[f"ours, {factor}"]["compute"]
        best = min(rows[f"{design.name}, {factor}"]["compute"] for design in ASCENDING)
        grid = rows[f"{FULL_GRID.name}, {factor}"]["compute"]
        found.append(Goal(f"compute over full grid, {factor}", ours / grid, limit))
        found.append(Goal(f"compute over best ascending grid, {factor}", ours / best, 0.70))
    for row, limit in (("2 workers", 1.3), ("4 workers", 1.7)):
        found.append(Goal(f"compute, {row}", tables["workers"][row]["compute over ours"], limit))
    return found


def accuracy_goals(tables: dict[str, dict[str, Figures]]) -> list[Goal]:
    """Return the goals on coverage, error and resolution."""
    found = []
    for factor, error in ((1.2, 0.10), (1.5, 0.16), (2.0, 0.24)):
        row = tables["designs"][f"ours, {factor}"]
        found.append(Goal(f"coverage, {factor}", row["coverage"], 0.88, at_least=True))
        found.append(Goal(f"coverage of shallow curves, {factor}", row["coverage, shallow"], 0.82, at_least=True))
        found.append(Goal(f"RMSE in octaves, {factor}", row["rmse"], error))
    resolved = tables["designs"]["ours, 1.5"]["resolved"]
    return [*found, Goal("resolved within 120 trials, 1.5", resolved, 0.97, at_least=True)]


def robustness_goals(tables: dict[str, dict[str, Figures]]) -> list[Goal]:
    """Return the goals on cells that break an assumption."""
    found = []
    for name, factor in product(("correlation .15", "plateau at .7", "plateau at .3"), (1.5, 1.2)):
        row = tables["misspecified"][f"{name}, {factor}"]
        found.append(Goal(f"coverage, {name}, {factor}", row["coverage"], 0.78, at_least=True))
    alarms = tables["misspecified"]["as the model, 1.5"]["diagnostic fires"]
    found.append(Goal("diagnostics fire without cause, 1.5", alarms, 0.1))
    for side, row in tables["censored"].items():
        found.append(Goal(f"censoring right, {side}", row["right"], 0.98, at_least=True))
    rule = tables["futility"]["rule stops 1% of late solvers"]
    loss = tables["designs"]["ours, 1.5"]["coverage"] - rule["coverage"]
    found.append(Goal("compute with futility", rule["compute over ours"], 0.75))
    return [*found, Goal("its loss of coverage", loss, 0.02)]


def markdown(rows: dict[str, Figures]) -> str:
    """Return rows of figures as a table."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, row in rows.items():
        lines.append(f"| {title} | " + " | ".join(f"{row[name]:.3g}" if name in row else "" for name in names) + " |")
    return "\n".join(lines)


def known(rows: dict[str, Figures]) -> dict[str, Figures]:
    """Return rows without the figures that nothing was counted for, which JSON has no number for."""
    return {title: {name: value for name, value in row.items() if isfinite(value)} for title, row in rows.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=400, help="made-up cells in a row")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the figures go")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    chosen = parser.parse_args()
    tables = gone_on_with(chosen.json, chosen.cells)
    for title in chosen.tables:
        tables[title] = tables.get(title) or TABLES[title](chosen.cells, tables)
        print(f"\n### {title}\n\n{markdown(tables[title])}", flush=True)
        write(chosen.json, {"cells": chosen.cells, "tables": {each: known(rows) for each, rows in tables.items()}})
    if set(tables) == set(TABLES):
        held = [*goals(tables), Goal("one ask after 100 trials, seconds", ask_seconds(), 0.05)]
        print("\n### goals\n\n| | measured | goal | reached |\n|---|---|---|---|", *held, sep="\n")
        listed = [asdict(goal) | {"reached": goal.reached} for goal in held]
        shown = {title: known(rows) for title, rows in tables.items()}
        write(chosen.json, {"cells": chosen.cells, "tables": shown, "goals": listed})


def gone_on_with(path: Path, cells: int) -> dict[str, dict[str, Figures]]:
    """Return the tables of a run that was cut short; none of one that ended or had another size."""
    record = json.loads(path.read_text()) if path.exists() else {}
    return dict(record["tables"]) if record.get("cells") == cells and "goals" not in record else {}


def write(path: Path, record: dict[str, Any]) -> None:
    """Write what is known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
