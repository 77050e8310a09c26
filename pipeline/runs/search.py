"""One search with all around it: its study, its runs in MLflow, its files. `search` does one, `sweep` many at once."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna import Study

from pipeline import tracking
from pipeline.base.errors import UserError
from pipeline.base.files import digest, replaced, write_json
from pipeline.base.terminal import Display, display, duration
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.figures.search import draw_search
from pipeline.horizon.answer import horizon_from
from pipeline.records.gradients import write_profiles
from pipeline.records.horizon import HorizonRecord, horizon_record
from pipeline.records.labels import title
from pipeline.records.trials import write_trials
from pipeline.records.wording import REASONS, phrase
from pipeline.runs.prepared import ensure_prepared
from pipeline.runs.search_summary import horizon_by_updates, metrics, note_of, solved_by_length
from pipeline.runs.trial import Trial
from pipeline.runs.watcher import Watcher
from pipeline.settings import Settings
from pipeline.settings.fingerprint import fingerprint
from pipeline.settings.tuned import summary, tuned
from pipeline.study import driver
from pipeline.study.driver import Search
from pipeline.study.opening import annotate, open_study
from pipeline.study.record import TrialRecord
from pipeline.study.results import read_study

STORAGE = "OPTUNA_STORAGE"  # variable of the environment, and only there, for it may hold a password
DATABASES = ("postgresql+psycopg2://", "sqlite:///", "journal:")  # what it may be
WROTE = "digest.trials"  # tag: by it the report finds the run that wrote its trials.csv


def search(settings: Settings) -> None:
    """Find one horizon."""
    settings = tuned(settings)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with display(settings.title) as shown, opened(settings, shown) as searching:
        with settings.part("executor") as executor:
            one = searching.driven(executor.remote, executor.workers)
            driver.run([one], executor, executor.workers)
        if one.error:
            raise one.error
        searching.conclude()


def study_of(settings: Settings) -> Study:
    """The study of these settings and this code, opened or made; its name says which."""
    sampler = settings.part("sampler", options=settings.search)
    return open_study(storage(settings), study_name(settings), sampler, settings.search.fresh)


def study_name(settings: Settings) -> str:
    """The name of a study of these settings and this code."""
    return f"{settings.title}-{fingerprint(settings)}"


def storage(settings: Settings) -> str:
    """Where studies are kept: $OPTUNA_STORAGE, or a file in the project; raises `UserError` where it is no database."""
    given = os.environ.get(STORAGE)
    if given and not given.startswith(DATABASES):
        rule = f"{STORAGE} must begin with {', '.join(DATABASES)}"
        raise UserError(f"{rule}; what it is is not shown, for it may hold a password")
    folder = settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    return given or f"sqlite:///{folder / 'optuna.db'}"


@contextmanager
def opened(settings: Settings, shown: Display) -> Iterator["Searching"]:
    """A search whose run in MLflow ends with the block, as the block ends."""
    settings.require_runs()
    study = study_of(settings)
    tags = {"stage": "search", **settings.tags, "study": study.study_name}
    name = f"{settings.experiment or settings.names['cell']} · search"
    with tracking.open_run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run:
        held_out = ensure_prepared(settings)
        run.params(settings.tree)
        run.dataset(settings.names["task"], held_out.digest_of_all(), f"data/{settings.names['task']}", "held-out")
        yield Searching(settings, study, held_out, run, shown)


@dataclass
class Searching:
    """A search that is under way."""

    settings: Settings
    study: Study
    held_out: HeldOut
    run: tracking.Run
    shown: Display

    def __post_init__(self) -> None:
        """Show what an earlier process finished."""
        self.watcher = Watcher(self.settings, self.study, self.run, self.shown)

    def driven(self, remote: bool, workers: int) -> Search:
        """Return the search for the driver, with `workers` trials at once; `remote` if they run in other processes.

        A remote trial sends little: its sequences are read, or drawn again, where it runs. It shows no progress.
        """
        if remote:
            trial = Trial(self.settings, self.held_out, code=fingerprint(self.settings))
        else:
            trial = Trial(self.settings, self.held_out, self.watcher.watch)
        return Search(self.study, trial, self.settings.search, workers, self.watcher.started, self.watcher.finished)

    def conclude(self) -> HorizonRecord:
        """Write and show the answer."""
        settings = self.settings
        self.watcher.catch_up()
        trials = read_study(self.study)
        answer = horizon_from([trial.observation for trial in trials], settings.search)
        found = horizon_record(settings.names, settings.task, answer, trials, settings.search, summary(settings))
        with replaced(settings.results_of("search")) as folder:
            write(folder, settings, trials, found)
            self.run.artifacts(folder)
        seconds = time.monotonic() - self.watcher.began
        show(self.run, settings, self.study, trials, found, seconds)
        for sentence in found.diagnostics:
            self.shown.say(f"warning: {sentence}")
        self.shown.summary(outline(settings, self.run, found, seconds))
        return found


def show(
    run: tracking.Run,
    settings: Settings,
    study: Study,
    trials: Sequence[TrialRecord],
    found: HorizonRecord,
    seconds: float,
) -> None:
    """Tell the reviewer what came out: the answer, how sure, and how to repeat it, on the parent run and the study."""
    updates = round(sum(trial.cost / trial.length for trial in trials))
    run.metrics(updates, metrics(found) | {"search/seconds": seconds, "search/updates": updates})
    for charted in (solved_by_length(trials), horizon_by_updates(found)):
        for step, numbers in charted.items():
            run.metrics(step, numbers)
    tags = {"horizon": phrase(found.t50), "horizon.t90": phrase(found.t90)}
    tags |= {"converged": str(found.converged).lower(), "duration": duration(seconds)}
    tags |= {"compute": f"{found.compute:.3g}", WROTE: digest(settings.results_of("search") / "trials.csv")}
    tags |= {"signature": found.signature} if found.signature else {}
    run.tags(tags)
    command, data = settings.command("search"), f"data/{settings.names['task']}"
    origin = {"Data": f"`{data}`, by DVC", "Code": tracking.code(), "Settings": "`settings.json`, all of them"}
    note = note_of(found, command, origin)
    run.note(note)
    annotate(study, note)


def outline(settings: Settings, run: tracking.Run, found: HorizonRecord, seconds: float) -> dict[str, str]:
    """What the command says at its end."""
    return {
        "horizon T50": phrase(found.t50),
        "T90": phrase(found.t90),
        "ended because": REASONS.get(found.reason or "", "it was cut short"),
        "trials": f"{found.trials} of {found.replicas} replicas, {duration(seconds)}",
        "files": str(settings.results_of("search")),
        "MLflow": run.link(settings.address),
    }


def write(folder: Path, settings: Settings, trials: Sequence[TrialRecord], found: HorizonRecord) -> None:
    """Every out of the stage."""
    write_trials(folder / "trials.csv", trials)
    write_profiles(folder / "gradients.parquet", trials)
    write_json(folder / "horizon.json", as_json(found))
    write_json(folder / "metrics.json", headline(found))
    write_json(folder / "settings.json", settings.recorded)
    draw_search(folder, trials, found, title(found.task, found.cell, settings.tree["cell"]))


def headline(found: HorizonRecord) -> dict[str, float | int | str | None]:
    """The content of metrics.json, which `dvc metrics` shows: few values that tell two runs apart."""
    return {
        "horizon": phrase(found.t50),
        "t50": found.t50.best_known,  # the median, or the limit beyond which it lies
        "t90": phrase(found.t90),
        "trials": found.trials,
        "compute": found.compute,
    }
