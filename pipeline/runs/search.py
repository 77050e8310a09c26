"""One search with all around it: its study, its run in MLflow, its files. `search` does one, `sweep` many at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optuna import Study

from pipeline import tracking
from pipeline.base.errors import require
from pipeline.base.files import digest, write_json
from pipeline.base.terminal import Display, duration, open_display
from pipeline.base.trees import as_json
from pipeline.figures.search import draw_search
from pipeline.horizon.answer import horizon_from
from pipeline.horizon.options import MILLION
from pipeline.records.gradients import write_profiles
from pipeline.records.horizon import HorizonRecord, horizon_record
from pipeline.records.labels import title
from pipeline.records.trials import write_trials
from pipeline.records.wording import (
    REASONS,
    foreseen_phrase,
    further_phrase,
    growth_phrase,
    law_phrase,
    ninety_phrase,
    phrase,
)
from pipeline.runs.notes import note
from pipeline.runs.search_summary import horizon_by_updates, metrics, show_study, solved_by_length
from pipeline.runs.studies import search_study, trial_of
from pipeline.runs.watcher import Watcher
from pipeline.runs.work import Work, open_work
from pipeline.settings import Settings
from pipeline.settings.tuned import summary, tuned
from pipeline.study import driver
from pipeline.study.record import TrialRecord
from pipeline.study.results import read_study

WROTE = "digest.trials"  # tag: by it the report finds the run that wrote its trials.csv


def search(settings: Settings) -> HorizonRecord:
    """Find one horizon."""
    settings = tuned(settings)
    with open_display(settings.title) as display, open_search(settings, display) as mine:
        with settings.part("executor") as executor:
            driven = mine.driven(executor.remote, executor.workers)
            driver.run([driven], executor, executor.workers)
        if driven.error:
            raise driven.error
        return mine.conclude()


@contextmanager
def open_search(settings: Settings, display: Display) -> Iterator["SearchRun"]:
    """Open a search; its run in MLflow ends with the block, as the block ends."""
    settings.require_runs()
    require_one_trial(settings)
    display.doing("opens the study")
    study = search_study(settings)
    with open_work("search", settings, display, tags={"study": study.study_name}) as work:
        work.log_data(work.held_out.digest_of_all(), "held-out")
        yield SearchRun(work, study, Watcher(work, study))


def require_one_trial(settings: Settings) -> None:
    """Raise `UserError` where the cap on compute does not even allow a trial of the shortest length."""
    search, updates = settings.search, settings.training.updates
    needed = search.replicas * updates * search.length_min / MILLION
    rule = f"must be at least {needed:g} million steps, a trial of {search.replicas} replicas of {updates} updates"
    require(search.limit >= needed * MILLION, "search.compute", rule, search.compute)


@dataclass(frozen=True)
class SearchRun:
    """A search that is under way."""

    work: Work
    study: Study
    watcher: Watcher

    def driven(self, remote: bool, workers: int) -> driver.Search:
        """Return the search for the driver, with `workers` trials at once; `remote` if they run in other processes."""
        settings, watcher = self.work.settings, self.watcher
        trial = trial_of(settings, self.work.held_out, watcher.watch, remote)
        return driver.Search(self.study, trial, settings.search, workers, watcher.started, watcher.finished)

    def conclude(self) -> HorizonRecord:
        """Write the answer, show it, and return it."""
        work, settings = self.work, self.work.settings
        trials = read_study(self.study)
        self.watcher.log_new(trials)
        answer = horizon_from([trial.observation for trial in trials], settings.search)
        parts = settings.names, settings.task
        found = horizon_record(*parts, answer, trials, settings.search, summary(settings), settings.cell)
        work.display.progress(1.0, "draws the figures", left="")
        with work.results() as folder:
            write(folder, settings, trials, found)
        log_answer(work, self.study, trials, found)
        for sentence in found.diagnostics:
            work.display.print(f"warning: {sentence}")
        work.display.print_summary(outline(work, found))
        return found


def write(folder: Path, settings: Settings, trials: Sequence[TrialRecord], found: HorizonRecord) -> None:
    """Write every out of the stage."""
    write_trials(folder / "trials.csv", trials)
    write_profiles(folder / "gradients.parquet", trials)
    write_json(folder / "horizon.json", as_json(found))
    write_json(folder / "metrics.json", headline(found))
    write_json(folder / "settings.json", settings.recorded)
    draw_search(folder, trials, found, title(found.task, found.cell, settings.tree["cell"]))


def headline(found: HorizonRecord) -> dict[str, float | int | str | None]:
    """Return the content of metrics.json, few values that tell two runs apart: `dvc metrics show` fits 120 columns."""
    return {
        "horizon": phrase(found.t50),
        "t50": found.t50.best_known,  # the median, or the limit beyond which it lies
        "t90": ninety_phrase(found),
        "trials": found.trials,
    }


def log_answer(work: Work, study: Study, trials: Sequence[TrialRecord], found: HorizonRecord) -> None:
    """Log the answer, how sure it is and how to repeat it, on the parent run and on the study."""
    updates = round(sum(trial.cost / trial.length for trial in trials))
    work.run.metrics(0, metrics(found) | {"search/seconds": work.seconds, "search/updates": updates})
    for chart in (solved_by_length(trials), horizon_by_updates(found)):
        for step, numbers in chart.items():
            work.run.metrics(step, numbers)
    tags = {"mlflow.runName": f"{work.settings.experiment or found.cell} · T50 {phrase(found.t50)}"}
    tags |= {"horizon": phrase(found.t50), "horizon.t90": ninety_phrase(found)}
    tags |= {"converged": str(found.converged).lower(), "duration": duration(work.seconds)}
    tags |= {"horizon.growth": growth_phrase(found), "learning_time": law_phrase(found)}
    tags |= {"compute": f"{found.compute:.3g}", WROTE: digest(work.folder / "trials.csv")}
    tags |= {"signature": found.signature} if found.signature else {}
    work.run.tags(tags)
    values = {"reason": reason(found), "data": work.data, "code": tracking.code()}
    markdown = note("search", found=found, command=work.settings.command("search"), **values)
    work.run.note(markdown)
    show_study(study, trials, found, markdown, work.run.link(work.settings.address))


def outline(work: Work, found: HorizonRecord) -> dict[str, str]:
    """Return what the command prints at its end."""
    return {
        "horizon T50": phrase(found.t50),
        "but": f"the cell {found.cannot_represent}" if found.cannot_represent else "",
        "T90": ninety_phrase(found),
        "twice the updates gain": growth_phrase(found),
        "learning time": law_phrase(found),
        "foreseen": foreseen_phrase(found),
        "ended because": reason(found),
        **({"the next length": next_length(work, found)} if found.further else {}),
        "trials": f"{found.trials} of {found.replicas} replicas, {duration(work.seconds)}",
        "tied to the length": ", ".join(f"cell.{name}" for name in found.tied),
        "files": str(work.folder),
        "MLflow": work.run.link(work.settings.address),
    }


def next_length(work: Work, found: HorizonRecord) -> str:
    """Say what the next length would have taken, in compute and, at the speed of this search, in time."""
    assert found.further is not None
    seconds = found.further.compute * work.seconds / max(found.compute, 1)
    return further_phrase(found, f", about {duration(seconds)}")


def reason(found: HorizonRecord) -> str:
    """Return in words why the search ended."""
    return REASONS.get(found.reason or "", "it was cut short")
