"""One tuning with all around it: the horizon of the plain settings, its study, its runs in MLflow, its files."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna import Study

from pipeline.base.files import write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import open_display
from pipeline.base.trees import as_json
from pipeline.figures import style
from pipeline.figures.tuning import tuning_figure
from pipeline.horizon.estimate import Searched
from pipeline.records.labels import title
from pipeline.runs.choosing import choose, find_horizon, lock_pair, new_sampler, parse_space, question_of, sections_of
from pipeline.runs.notes import note
from pipeline.runs.studies import tuning_study
from pipeline.runs.work import Work, open_work
from pipeline.settings import Settings
from pipeline.settings.destination import what_if
from pipeline.settings.tuned import file_of
from pipeline.settings.tuned_file import write_tuned
from pipeline.study.opening import annotate
from pipeline.tuning.climbing import Climb
from pipeline.tuning.final import Standing
from pipeline.tuning.record import MeasuredCurve, Place, TuningRecord, flow
from pipeline.tuning.rounds import Chosen, Question
from pipeline.tuning.space import DIGITS


def tune(settings: Settings) -> TuningRecord:
    """Find settings for one pair, and write them to conf/tuned."""
    parse_space(settings)  # a mistake in it is found before the search of the plain settings
    settings.require_runs()
    with (
        open_display(f"{settings.pair} tune") as display,
        lock_pair(settings),
        open_work("tune", settings, display) as work,
    ):
        work.run.params({"tune": vars(settings.tune)})
        base = find_horizon(settings, work.held_out, display, "plain settings")
        study, question = tuning_study(settings, new_sampler(settings, 0)), question_of(settings, base)
        work.run.tags({"study": study.study_name})
        work.run.take_over(study.study_name)
        watcher = Watcher(work, study.study_name)
        chosen = choose(settings, study, question, watcher.watch, watcher.round)
        found = tuning_record(settings, study, question, chosen, base)
        with work.results() as folder:
            write(folder, found, chosen, title(found.task, found.cell, settings.tree["cell"]))
        write_tuned(tuned_file(work), found, sections_of(settings, found.chosen))
        log_answer(work, study, found)
    return found


def tuned_file(work: Work) -> Path:
    """Return where the chosen settings go: to conf/tuned, or with other results of another question than its own."""
    path = file_of(work.settings)
    return work.folder / path.name if what_if(work.settings, "tune", "tuned") else path


@dataclass(frozen=True)
class Watcher:
    """Shows a tuning while it runs: each setting that was tried as a run of its own."""

    work: Work
    study: str  # its name

    def watch(self, update: int, curve: Mapping[str, float]) -> None:
        """Show the progress of a length."""
        if "replicas/running" in curve:
            running, solved = curve["replicas/running"], curve["replicas/solved"]
            words = f"update {update}, {running:.0f} settings or seeds train, {solved:.0f} solved"
            self.work.display.progress(0.5, words, left="")  # nobody knows when a climb ends

    def round(self, generation: int, climbs: Sequence[Climb], reached: Sequence[float]) -> None:
        """Show how a generation ended."""
        best = max(each.solved_length for each in climbs)
        solved = [each.solved_length for each in climbs].count(best)
        words = f"length {best} solved by {solved}" if best else "nothing solved"
        self.work.display.print(f"generation {generation + 1}: {len(climbs)} settings, {words}")
        ordinals = self.work.settings.tune.ordinals(generation)
        for ordinal, climbed, octaves in zip(ordinals, climbs, reached, strict=True):
            self.log(ordinal, climbed, octaves)
        self.work.run.flush()

    def log(self, ordinal: int, climbed: Climb, octaves: float) -> None:
        """Log settings that were tried as a nested run."""
        tags = {"level": "trial", "study": self.study, "trial": str(ordinal)}
        child = self.work.run.child(f"settings {ordinal} · solved {climbed.solved_length}", tags)
        child.params(climbed.entrant.values)
        for outcome in climbed.outcomes:
            child.metrics(outcome.length, {"tune/updates": outcome.updates, "tune/progress": outcome.progress})
        how = {"octaves": octaves, "solved_length": climbed.solved_length, "cost": climbed.cost}
        child.metrics(0, {f"tune/{name}": value for name, value in how.items()})
        child.close()


def tuning_record(settings: Settings, study: Study, question: Question, chosen: Chosen, base: Searched) -> TuningRecord:
    """Return what the tuning found."""
    winner = chosen.order[0]
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
        order=tuple(map(place, chosen.order)),
        importance=dict(chosen.importance),
        curve=measured_curve(chosen.curve),
        plain=base,
        plain_settings=dict(question.plain),
    )


def place(standing: Standing) -> Place:
    """Return how some settings did in the last round."""
    return Place(
        values=dict(standing.values),
        plain=standing.plain,
        lengths=tuple(standing.lengths),
        solved=tuple(standing.solved),
        seeds=standing.seeds,
        cost=standing.cost,
        known=standing.known,
        octaves=round(standing.octaves, 4),
    )


def measured_curve(curve: Mapping[str, Any]) -> MeasuredCurve:
    """Return the curve over the learning rate, see `tuning.final.rate_curve`."""
    rates, solved = tuple(curve["rates"]), tuple(curve["solved"])
    return MeasuredCurve(curve["length"], curve["seeds"], rates, solved, cost=curve["cost"])


def write(folder: Path, found: TuningRecord, chosen: Chosen, title: str) -> None:
    """Write every out of the stage."""
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


def log_answer(work: Work, study: Study, found: TuningRecord) -> None:
    """Log the answer in MLflow and on the study, and print it."""
    numbers = {f"tune/{name}": float(getattr(found, name)) for name in ("cost", "searches", "settings")}
    numbers |= {f"importance/{name}": share for name, share in found.importance.items()}
    work.run.metrics(0, numbers | {"tune/octaves": found.order[0].octaves})
    words = ", ".join(flow(found.chosen))
    work.run.tags({"chosen": words})
    markdown = note("tune", found=found)
    work.run.note(markdown)
    annotate(study, markdown)
    kept = "" if found.changed else "the plain settings stay: "
    work.display.print(f"{kept}{words}; cost {found.searches:.2g} plain searches; {tuned_file(work)}")
