"""Hold published results against the same experiments here, and horizons against the gradient that should predict them.

    python -m pipeline.papers

reads results/experiment/ by the names in conf/papers.yaml, which `make papers` measures, and writes
results/report/published/: index.html (one file that works offline), published.json, published.md and predicted.svg.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.base.errors import UserError
from pipeline.base.files import replaced, write_json
from pipeline.base.numbers import finite
from pipeline.figures import style
from pipeline.figures.papers import predicted
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.rank_correlation import RankCorrelation, rank_correlation
from pipeline.learning.gradients import reach
from pipeline.records.horizon import belief_of, read_horizon
from pipeline.records.outcome import read_outcome
from pipeline.records.trials import read_trials
from pipeline.records.wording import label, phrase
from pipeline.reports.render import embedded, rendered
from pipeline.settings import CONF, Settings, compose, stage_with

WHEN = {"init": "at the first update", "exit": "where a run leaves its plateau"}  # decay_init, decay_exit of trials.csv


@dataclass(frozen=True)
class Claim:
    """What a publication says, and the experiment that asks the same here: one entry of conf/papers.yaml."""

    experiment: str  # a file of conf/experiment/
    source: str
    published: str
    remark: str


@dataclass(frozen=True)
class Answer:
    """What the experiment of a claim gave."""

    setting: str  # generator, sizes and budget
    ours: str


@dataclass(frozen=True)
class Knob:
    """One search of a multirun that moves one knob of a cell."""

    cell: str
    name: str  # e.g. gain
    value: float
    horizon: Mapping[str, Any]  # horizon.json
    trials: Sequence[Mapping[str, str]]  # trials.csv

    def decay(self, when: str) -> float:
        """The factor of the gradient per step back, the median over the trials; NaN where none has it."""
        known = [float(row[f"decay_{when}"] or "nan") for row in self.trials]
        return float(np.nanmedian(known)) if np.isfinite(known).any() else np.nan

    @cached_property
    def belief(self) -> Posterior:
        """The posterior of the horizon."""
        return belief_of(self.trials, self.horizon)


@stage_with()
def main(settings: Settings) -> None:
    """Write the table of published results and the figure of the knobs."""
    plan = yaml.safe_load((CONF / "papers.yaml").read_text())
    claims = [Claim(**entry) for entry in plan["claims"]]
    answers = [answer(settings.results, claim.experiment) for claim in claims]
    knobs = [knob for name in plan["papers"]["knobs"] for knob in read_knobs(settings.results, name)]
    found = correlations(knobs, settings.search.level)
    target = settings.results / "report" / "published"
    with replaced(target) as folder:
        style.save(predicted([summary(knob) for knob in knobs], WHEN), folder / "predicted.svg")
        write_json(folder / "published.json", content(claims, answers, knobs, found))
        (folder / "published.md").write_text(table(claims, answers))
        (folder / "index.html").write_text(page(folder, claims, answers, knobs, found, settings.search.level))
    print(f"{target / 'index.html'}: {len(claims)} published results, {len(knobs)} settings of knobs")


def answer(results: Path, experiment: str) -> Answer:
    """What an experiment gave, a search or a training; raises `UserError` where it has not been run."""
    folder, settings = results / "experiment" / experiment, compose(f"+experiment={experiment}")
    if (folder / "search" / "horizon.json").exists():
        horizon = read_horizon(folder / "search" / "horizon.json")
        return Answer(described(settings), f"T50 {phrase(horizon['t50'])}, error below {horizon['goal']:g}")
    if (folder / "train" / "outcome.json").exists():
        outcome = read_outcome(folder / "train" / "outcome.json")
        return Answer(f"T = {outcome['length']}; {described(settings)}", trained(outcome, settings.training.batch))
    raise UserError(f"{folder} has no results; `make papers` makes those that take minutes, LOG.md has the others")


def described(settings: Settings) -> str:
    """Generator, sizes and budget in one line."""
    cell, optimizer, training = (settings.tree[name] for name in ("cell", "optimizer", "training"))
    knobs = {name: value for name, value in cell.items() if name not in ("_target_", "hidden")}
    goal = settings.task.goal
    parts = [
        f"{label(settings.names['task'])}, {label(settings.names['cell'])} of {cell['hidden']} units",
        ", ".join(f"{name} {value}" for name, value in knobs.items() if value not in (None, 0.0)),
        f"{settings.names['optimizer']} {optimizer['lr']:g}, clip {training['clip']:g}, batch {training['batch']}",
        f"solved: error below {goal:g} (chance {settings.task.chance:.3g}) within {training['updates']} updates",
    ]
    return "; ".join(parts)


def trained(outcome: Mapping[str, Any], batch: int) -> str:
    """How many replicas of a training solved, and how many sequences that took."""
    updates = [row["updates_to_solve"] for row in outcome["replicas"] if row["solved"]]
    solved = f"{outcome['solved']} of {len(outcome['replicas'])} replicas solved"
    if not updates:
        best = [row["best_score"] for row in outcome["replicas"] if row["best_score"] is not None]
        return f"{solved}; best error {min(best):.3g}" if best else f"{solved}; all diverged"
    least, most = (f"{end(updates) * batch:,}".replace(",", " ") for end in (min, max))
    return f"{solved}, after {least} to {most} sequences"


def read_knobs(results: Path, experiment: str) -> list[Knob]:
    """The searches of one multirun, by the value of the knob that it moves."""
    folder = results / "experiment" / experiment / "search"
    return sorted((read_knob(path.parent) for path in folder.glob("*/horizon.json")), key=lambda knob: knob.value)


def read_knob(folder: Path) -> Knob:
    """One search, in a folder that is named by the override that made it: `cell.gain=0.8`."""
    name, _, value = folder.name.removeprefix("cell.").partition("=")
    horizon = read_horizon(folder / "horizon.json")
    return Knob(horizon["cell"], name, float(value), horizon, read_trials(folder / "trials.csv"))


def correlations(knobs: Sequence[Knob], level: float) -> dict[str, dict[str, RankCorrelation | None]]:
    """Horizon against decay: over all settings, and over those of each cell."""
    groups = {"all": list(knobs)} | {cell: [knob for knob in knobs if knob.cell == cell] for cell in cells(knobs)}
    return {name: {when: correlation(group, when, level) for when in WHEN} for name, group in groups.items()}


def correlation(knobs: Sequence[Knob], when: str, level: float) -> RankCorrelation | None:
    """Horizon against decay at one moment of training; xi = -1 / ln decay has the same ranks, as far as it exists."""
    return rank_correlation([knob.belief for knob in knobs], [knob.decay(when) for knob in knobs], level)


def cells(knobs: Sequence[Knob]) -> list[str]:
    """The cells that were tried, in their order."""
    return list(dict.fromkeys(knob.cell for knob in knobs))


def summary(knob: Knob) -> dict[str, Any]:
    """What is shown of one setting."""
    decays = {when: None if np.isnan(knob.decay(when)) else round(knob.decay(when), 4) for when in WHEN}
    reaches = {when: None if value is None else reach_of(value) for when, value in decays.items()}
    ends = {name: knob.horizon[name] for name in ("length_min", "length_max")}
    known = {"cell": knob.cell, "knob": knob.name, "value": knob.value}
    return known | {"decay": decays, "reach": reaches, "t50": knob.horizon["t50"]} | ends


def reach_of(decay: float) -> float | None:
    """ξ of a decay to three digits; None where the gradient does not fall."""
    return finite(float(reach(np.array([decay]))[0]), 3)


def verdict(found: RankCorrelation | None) -> str:
    """What a rank correlation says, in words."""
    if found is None:
        return "too few settings to say"
    words = {1: "a slower decay goes with a longer horizon", -1: "a slower decay goes with a SHORTER horizon"}
    between = f"ρ = {found.median:.2f} ({found.lower:.2f} to {found.upper:.2f}), {found.searches} settings"
    return f"{between}: {words.get(found.sign, 'it does not predict the horizon')}"


def content(
    claims: Sequence[Claim],
    answers: Sequence[Answer],
    knobs: Sequence[Knob],
    found: Mapping[str, Mapping[str, RankCorrelation | None]],
) -> dict[str, Any]:
    """The content of published.json."""
    numbers = {
        group: {when: value and asdict(value) for when, value in values.items()} for group, values in found.items()
    }
    rows = [asdict(claim) | asdict(ours) for claim, ours in zip(claims, answers, strict=True)]
    return {"published": rows, "knobs": [summary(knob) for knob in knobs], "rank_correlation": numbers}


def table(claims: Sequence[Claim], answers: Sequence[Answer]) -> str:
    """published.md: one row a claim."""
    head = ("source", "published", "ours", "our setting", "where they differ")
    rows = [
        (claim.source, claim.published, ours.ours, ours.setting, claim.remark)
        for claim, ours in zip(claims, answers, strict=True)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows]) + "\n"


def page(
    folder: Path,
    claims: Sequence[Claim],
    answers: Sequence[Answer],
    knobs: Sequence[Knob],
    found: Mapping[str, Mapping[str, RankCorrelation | None]],
    level: float,
) -> str:
    """index.html: everything in one file."""
    verdicts = {group: {when: verdict(value) for when, value in values.items()} for group, values in found.items()}
    return rendered(
        "papers.html",
        rows=list(zip(claims, answers, strict=True)),
        knobs=[summary(knob) for knob in knobs],
        verdicts=verdicts,
        when=WHEN,
        label=label,
        phrase=phrase,
        level=level,
        picture=embedded(folder / "predicted.svg"),
    )


if __name__ == "__main__":
    main()
