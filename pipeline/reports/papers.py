"""Published results beside ours, and horizons beside the gradient that should predict them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.base.errors import UserError
from pipeline.base.files import replaced, require_writable, write_json
from pipeline.base.numbers import finite
from pipeline.base.trees import as_json
from pipeline.figures import style
from pipeline.figures.papers import KnobPoint, predicted
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.rank_correlation import RankCorrelation, rank_correlation
from pipeline.learning.gradients import reach
from pipeline.records.horizon import HorizonRecord, read_horizon
from pipeline.records.labels import cell_label, label
from pipeline.records.outcome import OutcomeRecord, read_outcome
from pipeline.records.settings import read_settings
from pipeline.records.trials import read_trials
from pipeline.records.wording import phrase
from pipeline.reports.render import embedded, rendered
from pipeline.settings import CONF, Settings, compose
from pipeline.study.record import TrialRecord

WHEN = {"init": "at the first update", "exit": "where a run leaves its plateau"}  # decay_init, decay_exit of trials.csv
MAKER = "`make papers`"


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

    name: str  # e.g. gain
    value: float
    label: str  # of the cell
    horizon: HorizonRecord
    trials: Sequence[TrialRecord]

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self.horizon.cell

    def decay(self, when: str) -> float:
        """Return the gradient's factor per step back at a moment, the median over the trials; NaN where none has it."""
        known = [decay for trial in self.trials if (decay := trial.figures[f"decay_{when}"]) is not None]
        return float(np.median(known)) if known else np.nan

    @property
    def decays(self) -> dict[str, float | None]:
        """The same at each moment, to four digits after the point; None where none has it."""
        known = {when: self.decay(when) for when in WHEN}
        return {when: None if np.isnan(decay) else round(decay, 4) for when, decay in known.items()}

    @property
    def reaches(self) -> dict[str, float | None]:
        """The steps in which the gradient falls to 1/e at each moment, to three digits; None where it does not fall."""
        decays = {when: np.nan if decay is None else decay for when, decay in self.decays.items()}
        return {when: finite(float(reach(np.array([decay]))[0]), 3) for when, decay in decays.items()}

    @property
    def point(self) -> KnobPoint:
        """What a figure shows of it."""
        series = f"{self.label}, {label(self.name)}"
        ends = self.horizon.t50.within(self.horizon.length_min, self.horizon.length_max)
        return KnobPoint(series, self.value, self.decays, self.horizon.t50.median, *ends)

    @cached_property
    def belief(self) -> Posterior:
        """The posterior of the horizon."""
        return self.horizon.belief(self.trials)

    def to_json(self) -> dict[str, Any]:
        """Return what published.json states of it."""
        known = {"cell": self.cell, "knob": self.name, "value": self.value}
        known |= {"decay": self.decays, "reach": self.reaches, "t50": as_json(self.horizon.t50)}
        return known | {name: getattr(self.horizon, name) for name in ("length_min", "length_max")}


def write_papers(settings: Settings) -> None:
    """Write results/report/published/."""
    target = settings.results / "report" / "published"
    require_writable(target)
    plan = yaml.safe_load((CONF / "papers.yaml").read_text())
    claims = [Claim(**entry) for entry in plan["claims"]]
    answers = [answer(settings.results, claim.experiment) for claim in claims]
    knobs = [knob for name in plan["papers"]["knobs"] for knob in read_knobs(settings.results, name)]
    found = correlations(knobs, settings.search.level)
    with replaced(target) as folder:
        style.save(predicted([knob.point for knob in knobs], WHEN), folder / "predicted.svg")
        write_json(folder / "published.json", content(claims, answers, knobs, found))
        (folder / "published.md").write_text(table(claims, answers))
        (folder / "index.html").write_text(page(folder, claims, answers, knobs, found, settings.search.level))
    print(f"{target / 'index.html'}: {len(claims)} published results, {len(knobs)} settings of knobs")


def answer(results: Path, experiment: str) -> Answer:
    """Return what an experiment gave, a search or a training; raises `UserError` where it has not been run."""
    folder, settings = results / "experiment" / experiment, compose(f"+experiment={experiment}")
    if (folder / "search" / "horizon.json").exists():
        horizon = read_horizon(folder / "search" / "horizon.json", MAKER)
        return Answer(described(settings), f"T50 {phrase(horizon.t50)}, error below {horizon.goal:g}")
    if (folder / "train" / "outcome.json").exists():
        outcome = read_outcome(folder / "train" / "outcome.json", MAKER)
        return Answer(f"T = {outcome.length}; {described(settings)}", trained(outcome, settings.training.batch))
    raise UserError(f"{folder} has no results; `make papers` makes those that take minutes, LOG.md has the others")


def described(settings: Settings) -> str:
    """Return generator, sizes and budget in one line."""
    cell, optimizer, training = (settings.tree[name] for name in ("cell", "optimizer", "training"))
    knobs = {name: value for name, value in cell.items() if name not in ("_target_", "hidden")}
    goal = settings.task.goal
    parts = [
        f"{label(settings.names['task'])}, {cell_label(settings.names['cell'], cell)} of {cell['hidden']} units",
        ", ".join(f"{name} {value}" for name, value in knobs.items() if value not in (None, 0.0)),
        f"{settings.names['optimizer']} {optimizer['lr']:g}, clip {training['clip']:g}, batch {training['batch']}",
        f"solved: error below {goal:g} (chance {settings.task.chance:.3g}) within {training['updates']} updates",
    ]
    return "; ".join(parts)


def trained(outcome: OutcomeRecord, batch: int) -> str:
    """Return how many replicas of a training solved, and how many sequences that took."""
    updates = [row.updates_to_solve for row in outcome.replicas if row.updates_to_solve is not None]
    solved = f"{outcome.solved} of {len(outcome.replicas)} replicas solved"
    if not updates:
        best = outcome.best_score
        return f"{solved}; all diverged" if best is None else f"{solved}; best error {best:.3g}"
    least, most = (f"{end(updates) * batch:,}".replace(",", " ") for end in (min, max))
    return f"{solved}, after {least} to {most} sequences"


def read_knobs(results: Path, experiment: str) -> list[Knob]:
    """Return the searches of one multirun, by the value of the knob that it moves."""
    folder = results / "experiment" / experiment / "search"
    return sorted((read_knob(path.parent) for path in folder.glob("*/horizon.json")), key=lambda knob: knob.value)


def read_knob(folder: Path) -> Knob:
    """Return one search, in a folder that is named by the override that made it: `cell.gain=0.8`."""
    name, _, value = folder.name.removeprefix("cell.").partition("=")
    horizon = read_horizon(folder / "horizon.json", MAKER)
    spelled = cell_label(horizon.cell, read_settings(folder / "settings.json", MAKER).cell)
    return Knob(name, float(value), spelled, horizon, read_trials(folder / "trials.csv", MAKER))


def correlations(knobs: Sequence[Knob], level: float) -> dict[str, dict[str, RankCorrelation | None]]:
    """Return horizon against decay: over all settings, and over those of each cell."""
    groups = {"all": list(knobs)} | {cell: [knob for knob in knobs if knob.cell == cell] for cell in cells(knobs)}
    return {name: {when: correlation(group, when, level) for when in WHEN} for name, group in groups.items()}


def correlation(knobs: Sequence[Knob], when: str, level: float) -> RankCorrelation | None:
    """Return horizon against decay at one moment of training; xi = -1 / ln decay has the same ranks where it exists."""
    return rank_correlation([knob.belief for knob in knobs], [knob.decay(when) for knob in knobs], level)


def cells(knobs: Sequence[Knob]) -> list[str]:
    """Return the cells that were tried, in their order."""
    return list(dict.fromkeys(knob.cell for knob in knobs))


def verdict(found: RankCorrelation | None) -> str:
    """Return what a rank correlation says, in words."""
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
    """Return the content of published.json."""
    numbers = {
        group: {when: value and asdict(value) for when, value in values.items()} for group, values in found.items()
    }
    rows = [asdict(claim) | asdict(ours) for claim, ours in zip(claims, answers, strict=True)]
    return {"published": rows, "knobs": as_json(knobs), "rank_correlation": numbers}


def table(claims: Sequence[Claim], answers: Sequence[Answer]) -> str:
    """Return published.md: one row a claim."""
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
    """Return index.html: everything in one file."""
    verdicts = {group: {when: verdict(value) for when, value in values.items()} for group, values in found.items()}
    return rendered(
        "papers.html",
        rows=list(zip(claims, answers, strict=True)),
        knobs=knobs,
        verdicts=verdicts,
        labels={"all": "all"} | {knob.cell: knob.label for knob in knobs},
        when=WHEN,
        label=label,
        phrase=phrase,
        level=level,
        picture=embedded(folder / "predicted.svg"),
    )
