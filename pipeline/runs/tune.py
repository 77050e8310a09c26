"""One tuning with all around it: the horizon of the plain settings, its study, its runs in MLflow, its files."""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna import Study

from pipeline import tracking
from pipeline.base.errors import UserError, require
from pipeline.base.files import replaced, write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import Display, display
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.figures import style
from pipeline.figures.tuning import tuning_figure
from pipeline.horizon.answer import Horizon
from pipeline.horizon.estimate import Searched
from pipeline.records.labels import title
from pipeline.records.tuned_file import text
from pipeline.records.wording import phrase, short
from pipeline.runs import search
from pipeline.runs.prepared import ensure_prepared
from pipeline.runs.race import Trainer, check_space
from pipeline.runs.trial import Trial
from pipeline.settings import Settings, build
from pipeline.settings.fingerprint import choice_fingerprint
from pipeline.settings.tuned import file_of
from pipeline.study import driver
from pipeline.study.opening import annotate, open_study
from pipeline.tuning.climbing import Climb
from pipeline.tuning.record import MeasuredCurve, Place, TuningRecord, flow
from pipeline.tuning.rounds import Chosen, Question, Tuning
from pipeline.tuning.space import DIGITS, Choices, Space, Values, space_of


def tune(settings: Settings) -> None:
    """Find settings for one pair."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, plain = asked(settings)
    settings.require_runs()
    tags = {"stage": "tune", "task": settings.names["task"], "cell": settings.names["cell"]}
    name = f"{settings.names['cell']} · tune"
    with (
        display(f"{settings.pair} tune") as shown,
        alone(settings),
        tracking.open_run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run,
    ):
        held_out = ensure_prepared(settings)
        run.params(settings.tree)
        run.params({"tune": vars(settings.tune)})
        base = horizon_of(settings, held_out, shown, "plain settings")
        study = study_of(settings)
        run.tags({"study": study.study_name})
        question = question_of(settings, space, plain, base)
        watcher = Watcher(settings, run, shown)
        trainer = Trainer(settings, watcher.watch)
        chosen = Tuning(study, question, settings.tune, trainer, lambda g: sampler(settings, g), watcher.round).run()
        found = result(settings, study, question, chosen, base)
        with replaced(settings.results_of("tune")) as folder:
            write(folder, found, chosen, title(found.task, found.cell, settings.tree["cell"]))
            run.artifacts(folder)
        write_tuned(settings, plain, found)
        tell(run, study, shown, settings, found)


def asked(settings: Settings) -> tuple[Space, Values]:
    """The space of the cell and its plain settings; raises `UserError` where one of its values can't be used."""
    options, cell = settings.tune, settings.names["cell"]
    own = options.cells.get(cell)
    require(own is None or isinstance(own, Mapping), f"tune.cells.{cell}", "is a group of settings", own)
    space = space_of(options.space, own)
    tree = {**settings.tree, "optimizer": settings.tree["optimizer"] | {"name": settings.names["optimizer"]}}
    plain: Values = {}
    for name in {"optimizer.name": None, "training.clip": None, **space}:
        section, _, key = name.partition(".")
        if key not in tree[section]:
            raise UserError(f"tune.space: {name} is not a setting of {settings.names.get(section, section)}")
        plain[name] = tree[section][key]
    check_space(settings, plain, list(corners(space, plain)))
    sampler(settings, 0)
    return space, plain


def corners(space: Space, plain: Values) -> Sequence[Values]:
    """The plain settings with one of them at each of its choices, or at an end of its range."""
    values = {name: span.values if isinstance(span, Choices) else (span.low, span.high) for name, span in space.items()}
    return [plain | {name: value} for name, ends in values.items() for value in ends]


def sampler(settings: Settings, generation: int) -> optuna.samplers.BaseSampler:
    """A fresh sampler for one generation: it draws the same again after a kill."""
    seed = settings.tune.seed * settings.tune.generations + generation
    made: optuna.samplers.BaseSampler = build(settings.tune.sampler, "tune.sampler", seed=seed)
    return made


@contextmanager
def alone(settings: Settings) -> Any:
    """Refuse to tune a pair that another process is tuning; a killed one holds nothing."""
    folder = settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"tune-{settings.pair}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"another process is tuning {settings.pair} in {settings.state}; wait until it has ended"
        ) from error
    try:
        yield
    finally:
        lock.release()


def horizon_of(settings: Settings, held_out: HeldOut, shown: Display, words: str) -> Searched:
    """The horizon of some settings, and what it took; from its study if it is there."""
    settings = replace(settings, search=replace(settings.search, fresh=False))
    study = search.study_of(settings)

    def watch(update: int, curve: Mapping[str, float]) -> None:
        shown.now(0.0, f"horizon of the {words}, {len(study.trials)} trials")

    with settings.part("executor") as executor:
        found: Horizon = driver.search(study, Trial(settings, held_out, watch), settings.search, executor, 1)
    shown.say(f"{words}: {phrase(found.t50)}, {found.trials} trials")
    return Searched(**vars(found.t50), study=study.study_name, trials=found.trials, compute=found.compute)


def study_of(settings: Settings) -> Study:
    """The study of this choice, opened or made."""
    return open_study(search.storage(settings), study_name(settings), sampler(settings, 0), settings.tune.fresh)


def study_name(settings: Settings) -> str:
    """The name of a choice, which says of which settings and code."""
    return f"tune-{settings.pair}-{choice_fingerprint(settings)}"


def question_of(settings: Settings, space: Space, plain: Values, base: Searched) -> Question:
    """What is tuned. A plain horizon beyond the range counts as its end."""
    shortest, longest = settings.search.length_min, settings.search.length_max
    horizon = float(base.best_known or shortest)
    upper = inf if base.upper is None else base.upper
    budget, replicas = settings.training.updates, settings.search.replicas
    return Question(plain, space, shortest, longest, budget, replicas, float(base.compute), horizon, upper)


@dataclass
class Watcher:
    """Shows a tuning while it goes on: each setting that was tried as a run of its own."""

    settings: Settings
    run: tracking.Run
    shown: Display

    def watch(self, update: int, curve: Mapping[str, float]) -> None:
        """A length goes on."""
        if "replicas/running" in curve:
            running, solved = curve["replicas/running"], curve["replicas/solved"]
            self.shown.now(0.5, f"update {update}, {running:.0f} settings or seeds train, {solved:.0f} solved")

    def round(self, generation: int, climbs: Sequence[Climb], reached: Sequence[float]) -> None:
        """A generation has ended."""
        best = max(each.solved_length for each in climbs)
        solved = [each.solved_length for each in climbs].count(best)
        words = f"length {best} solved by {solved}" if best else "nothing solved"
        self.shown.say(f"generation {generation + 1}: {len(climbs)} settings, {words}")
        ordinals = self.settings.tune.ordinals(generation)
        for ordinal, climbed, octaves in zip(ordinals, climbs, reached, strict=True):
            self.log(ordinal, climbed, octaves)
        self.run.flush()

    def log(self, ordinal: int, climbed: Climb, octaves: float) -> None:
        """Settings that were tried as a nested run."""
        tags = {"level": "trial", "trial": str(ordinal)}
        child = self.run.child(f"settings {ordinal} · solved {climbed.solved_length}", tags)
        child.params(climbed.entrant.values)
        for outcome in climbed.outcomes:
            child.metrics(outcome.length, {"tune/updates": outcome.updates, "tune/progress": outcome.progress})
        how = {"octaves": octaves, "solved_length": climbed.solved_length, "cost": climbed.cost}
        child.metrics(0, {f"tune/{name}": value for name, value in how.items()})
        child.close()


def result(settings: Settings, study: Study, question: Question, chosen: Chosen, base: Searched) -> TuningRecord:
    """What the tuning found."""
    winner = chosen.order[0]
    places = [standing.as_dict() | {"octaves": round(standing.octaves, 4)} for standing in chosen.order]
    return TuningRecord(
        task=settings.names["task"],
        cell=settings.names["cell"],
        study=study.study_name,
        seed=settings.tune.seed,
        settings=len(chosen.climbs),
        generations=chosen.generations,
        cost=chosen.cost,
        searches=significant(chosen.cost / question.search_cost, DIGITS),
        budget=question.budget,
        chosen=dict(winner.values),
        changed=not winner.plain,
        order=tuple(Place(**place) for place in places),
        importance=dict(chosen.importance),
        curve=MeasuredCurve(**chosen.curve),
        plain=base,
        plain_settings=dict(question.plain),
    )


def write(folder: Path, found: TuningRecord, chosen: Chosen, title: str) -> None:
    """Every out of the stage."""
    write_json(folder / "tune.json", as_json(found))
    rows = [
        {
            "ordinal": ordinal,
            **climbed.entrant.values,
            "octaves": octaves,
            "solved_length": climbed.solved_length,
            "cost": climbed.cost,
            "lengths": json.dumps([outcome.length for outcome in climbed.outcomes]),
            "updates": json.dumps([outcome.updates for outcome in climbed.outcomes]),
            "seed": climbed.entrant.seed,
        }
        for ordinal, (climbed, octaves) in enumerate(zip(chosen.climbs, chosen.octaves, strict=True))
    ]
    with (folder / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    style.save(tuning_figure(rows, found, title), folder / "learning_rate.svg")


def write_tuned(settings: Settings, plain: Values, found: TuningRecord) -> None:
    """conf/tuned/TASK-CELL.yaml."""
    path = file_of(settings)
    sections = sections_of(settings, found.chosen)
    content = text(found.task, found.cell, sections, plain, as_json(found.provenance))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".yaml.new")
    fresh.write_text(content)
    fresh.replace(path)


def sections_of(settings: Settings, chosen: Values) -> dict[str, dict[str, Any]]:
    """The chosen settings as sections of the configuration; the optimizer complete, with what was not varied."""
    from pipeline.runs.race import optimizer

    sections: dict[str, dict[str, Any]] = {"optimizer": optimizer(settings, chosen)}
    for name, value in chosen.items():
        section, _, key = name.partition(".")
        if section != "optimizer":
            sections.setdefault(section, {})[key] = value
    return sections


def tell(run: tracking.Run, study: Study, shown: Display, settings: Settings, found: TuningRecord) -> None:
    """The summary for MLflow, the dashboard and the terminal."""
    numbers = {f"tune/{name}": float(getattr(found, name)) for name in ("cost", "searches", "settings")}
    numbers |= {f"importance/{name}": share for name, share in found.importance.items()}
    run.metrics(0, numbers | {"tune/octaves": found.order[0].octaves})
    words = ", ".join(flow(found.chosen))
    run.tags({"chosen": words})
    note = note_of(found)
    run.note(note)
    annotate(study, note)
    kept = "" if found.changed else "the plain settings stay: "
    shown.say(f"{kept}{words}; cost {found.searches:.2g} plain searches; {file_of(settings)}")


def note_of(found: TuningRecord) -> str:
    """The description of a tuning in Markdown."""
    places = [
        f"{number}. {'plain settings' if place.plain else ', '.join(place.words)}: "
        f"about {short(2**place.octaves)} steps"
        for number, place in enumerate(found.order, start=1)
    ]
    share = ", ".join(f"{name} {value:.0%}" for name, value in found.importance.items()) or "not known"
    return "\n".join(
        [
            f"Which settings does **{found.cell}** need on **{found.task}**?",
            f"\n**{', '.join(flow(found.chosen))}**\n",
            f"- {found.settings} settings climbed the lengths in {found.generations} generations, then the best "
            f"met the plain ones on fresh seeds; in octaves, log2 steps: {found.order[0].octaves:.2f}.",
            f"- Cost: {found.searches:.2g} searches of this pair with the plain settings.",
            f"- Importance (PED-ANOVA): {share}.",
            f"- Horizon with the plain settings: {phrase(found.plain)}.",
            *places,
            f"- Reproduce: `python -m pipeline.tune task={found.task} cell={found.cell}` with the settings under "
            "Parameters.",
        ]
    )
