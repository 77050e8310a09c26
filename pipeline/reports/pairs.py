"""What is reported of one cell on one task, gathered from the files of its stages: results/pairs/TASK-CELL/."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from numpy import ndarray

from pipeline.base.errors import UserError, require
from pipeline.base.files import digest, replaced
from pipeline.base.trees import as_json
from pipeline.figures import interactive
from pipeline.figures.explanation import draw_explanation
from pipeline.figures.search import draw_search
from pipeline.figures.search_data import solved_share
from pipeline.figures.training import draw_training
from pipeline.records.choices import beside
from pipeline.records.explanation import ExplanationRecord, GradientMap, read_explanation, read_maps
from pipeline.records.gradients import with_profiles
from pipeline.records.horizon import HorizonRecord, read_horizon
from pipeline.records.labels import cell_label, label
from pipeline.records.outcome import OutcomeRecord, read_outcome
from pipeline.records.reading import read_json
from pipeline.records.settings import SettingsRecord, read_settings
from pipeline.records.training import Curve, read_curves, read_norms
from pipeline.records.trials import read_trials
from pipeline.records.wording import phrase
from pipeline.settings import CONF, Settings
from pipeline.study.record import TrialRecord
from pipeline.tuning.record import Choice
from pipeline.tuning.space import at_boundary, space_of

PAIR = "pair.json"
TAKES = {  # on two cores
    "search": "half a minute to five minutes",
    "train": "half a minute",
    "explain": "seconds to two minutes after its search",
    "pair": "seconds if its search and its training are there, else minutes",
}


@dataclass(frozen=True)
class Pair:
    """All that is reported of one cell on one task: the content of pair.json."""

    label: str  # of the cell
    horizon: HorizonRecord
    trials: tuple[TrialRecord, ...]
    training: OutcomeRecord
    settings: SettingsRecord  # of the search
    digests: Mapping[str, str]  # of trials.csv and outcome.json: tags of the runs that wrote them
    at_boundary: Mapping[str, float]  # settings that were chosen at an end of what was tried
    choices: tuple[Choice, ...]  # of other settings
    curve: interactive.Points  # the fitted chance to solve, with its band
    paths: tuple[interactive.Points, ...]  # the gradient through time of each trial, at its last recorded update
    explanation: ExplanationRecord | None = None  # why seeds fail; None in what was gathered before there were any

    @property
    def name(self) -> str:
        """TASK-CELL."""
        return self.horizon.pair

    @property
    def title(self) -> str:
        """The pair in words."""
        return f"{label(self.horizon.task)} × {self.label}"

    def command(self, name: str) -> str:
        """Return the command line that makes these results again: the settings stand in conf/, or in the page."""
        return f"python -m pipeline.{name} task={self.horizon.task} cell={self.horizon.cell}"


@dataclass(frozen=True)
class Files:
    """What the stages wrote about one pair."""

    horizon: HorizonRecord
    trials: tuple[TrialRecord, ...]  # with the gradient through time
    settings: SettingsRecord
    outcome: OutcomeRecord
    norms: Mapping[str, ndarray]  # of the gradient through time in training
    curves: Sequence[Curve]  # of training
    explanation: ExplanationRecord
    maps: tuple[GradientMap, ...]  # of the seeds that the explanation is of
    digests: Mapping[str, str]


def write_pair(settings: Settings) -> None:
    """Gather one pair, draw its figures, and write them to results/pairs/TASK-CELL/."""
    require_reported(settings)
    files = read_files(settings.results, settings.pair)
    pair = gathered(settings, files)
    title = f"{pair.label} on {label(pair.horizon.task)}"
    target = settings.results / "pairs" / settings.pair
    with replaced(target) as folder:
        for part in ("search", "train", "explain"):
            (folder / part).mkdir()
        draw_search(folder / "search", files.trials, pair.horizon, title)
        draw_training(folder / "train", files.norms, files.curves, pair.training, title)
        draw_explanation(folder / "explain", files.explanation, files.maps, title)
        (folder / PAIR).write_text(lines(as_json(pair)))
    print(f"{target}: {title}, {phrase(pair.horizon.t50)}")


def require_reported(settings: Settings) -> None:
    """Raise `UserError` for what is no pair of the grid: the report depends on the folder of all pairs."""
    require(settings.experiment is None, "experiment", "is reported by pipeline.papers", settings.experiment)
    for group in ("task", "cell"):
        word, known = settings.names[group], grid()[f"{group}s"]
        require(word in known, group, f"must be of conf/grid.yaml: {', '.join(known)}", word)


def read_files(results: Path, name: str) -> Files:
    """Read all files of a pair; raise `UserError` where one is missing, something else, or of something else."""
    search, train, explain = (results / stage / name for stage in ("search", "train", "explain"))
    searched, trained, explained = (maker(stage, name) for stage in ("search", "train", "explain"))
    horizon = read_horizon(search / "horizon.json", searched)
    trials = read_trials(search / "trials.csv", searched)
    settings = read_settings(search / "settings.json", searched)
    require_same(search, horizon, trials, settings, searched)
    outcome = read_outcome(train / "outcome.json", trained)
    if outcome.pair != name:
        raise UserError(f"{train / 'outcome.json'} is of {outcome.pair}, not of {name}; {trained} makes it anew")
    require_same_budget(train / "outcome.json", outcome, horizon, trained)
    explanation = read_explanation(explain / "explanation.json", explained)
    require_of(explain / "explanation.json", explanation, horizon, explained)
    return Files(
        horizon=horizon,
        trials=with_profiles(search / "gradients.parquet", trials, searched),
        settings=settings,
        outcome=outcome,
        norms=read_norms(train / "gradients.parquet", trained),
        curves=read_curves(train / "curves.csv", trained),
        explanation=explanation,
        maps=read_maps(explain / "maps.parquet", explained),
        digests={"search": digest(search / "trials.csv"), "train": digest(train / "outcome.json")}
        | {"explain": digest(explain / "explanation.json")},
    )


def gathered(settings: Settings, files: Files) -> Pair:
    """Return what is reported of a pair."""
    horizon, retuned = files.horizon, settings.results / "retune" / settings.pair / "retune.json"
    return Pair(
        label=cell_label(horizon.cell, files.settings.cell),
        horizon=horizon,
        trials=tuple(replace(trial, profiles=()) for trial in files.trials),
        training=files.outcome,
        settings=files.settings,
        digests=files.digests,
        at_boundary=chosen_at_boundary(settings, files.settings, horizon),
        choices=other_choices(retuned, files.settings, horizon),
        curve=interactive.curve(solved_share(files.trials, horizon)),
        paths=tuple(interactive.path(trial.profiles[-1]) for trial in files.trials),
        explanation=files.explanation,
    )


def maker(stage: str, pair: str) -> str:
    """Return the command that makes the files of a stage, and about how long it takes, for a sentence."""
    return f"`dvc repro {stage}@{pair}` ({TAKES[stage]})"


def grid() -> dict[str, list[str]]:
    """Return the tasks and cells of conf/grid.yaml."""
    content: dict[str, list[str]] = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    return content


def require_same(
    folder: Path, horizon: HorizonRecord, trials: Sequence[TrialRecord], used: SettingsRecord, maker: str
) -> None:
    """Raise `UserError` where the files of a search, in a folder named TASK-CELL, are not those of one search."""
    if horizon.pair != folder.name:
        raise UserError(f"{folder / 'horizon.json'} is of {horizon.pair}, not of {folder.name}; {maker} makes it anew")
    if (len(trials), sum(trial.cost for trial in trials)) != (horizon.trials, horizon.compute):
        raise UserError(f"{folder / 'trials.csv'} holds other trials than horizon.json is of; {maker} makes it anew")
    if not used.asks(horizon):
        raise UserError(f"{folder / 'settings.json'} is of another search than horizon.json; {maker} makes it anew")


def require_same_budget(path: Path, outcome: OutcomeRecord, horizon: HorizonRecord, maker: str) -> None:
    """Raise `UserError` where a pair was trained with another budget or goal than it was searched with."""
    for name in ("budget", "goal"):
        trained, searched = getattr(outcome, name), getattr(horizon, name)
        if trained != searched:
            raise UserError(
                f"{path} has the {name} {trained}, and the search of {horizon.pair} {searched}; {maker} makes it anew"
            )


def require_of(path: Path, found: ExplanationRecord, horizon: HorizonRecord, maker: str) -> None:
    """Raise `UserError` where an explanation is of another pair, or of another horizon than that of the search."""
    if found.pair != horizon.pair:
        raise UserError(f"{path} is of {found.pair}, not of {horizon.pair}; {maker} makes it anew")
    if (found.budget, found.horizon) != (horizon.budget, horizon.t50.best_known):
        raise UserError(f"{path} explains another search than horizon.json is of; {maker} makes it anew")


def chosen_at_boundary(settings: Settings, used: SettingsRecord, horizon: HorizonRecord) -> dict[str, float]:
    """Return the settings of a tuned pair at an end of `tune.space`; none where no length could show more."""
    if not horizon.tuned or horizon.t50.censored == "above":
        return {}
    return at_boundary(space_of(settings.tune.space, settings.tune.cells.get(horizon.cell)), used.flat)


def other_choices(path: Path, used: SettingsRecord, horizon: HorizonRecord) -> tuple[Choice, ...]:
    """Return the other choices of settings that count beside that of a tuned pair."""
    return beside(path, horizon.tuned.study, used.tree) if horizon.tuned else ()


def lines(content: Mapping[str, Any]) -> str:
    """JSON with a line for each name."""
    entries = [f'"{name}": {json.dumps(value, allow_nan=False)}' for name, value in content.items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def read_pairs(results: Path) -> list[Pair]:
    """Return all pairs of the grid; raises `UserError` where one is missing or is something else."""
    ours = grid()
    return [read_pair(results / "pairs" / f"{task}-{cell}") for task in ours["tasks"] for cell in ours["cells"]]


def read_pair(folder: Path) -> Pair:
    """One pair; raises `UserError` where it is missing or is something else."""
    gathered = maker("pair", folder.name)
    pair = read_json(folder / PAIR, Pair, gathered)
    if pair.name != folder.name:
        raise UserError(f"{folder / PAIR} is of {pair.name}, not of {folder.name}; {gathered} makes it anew")
    return pair
