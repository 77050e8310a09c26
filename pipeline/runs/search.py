"""One search with all around it: its study, its runs in MLflow, its files. `search` does one, `sweep` many at once."""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from optuna import Study

from pipeline import tracking
from pipeline.base.errors import UserError
from pipeline.base.files import digest, replaced, write_json
from pipeline.base.terminal import Display, duration
from pipeline.data.held_out import HeldOut
from pipeline.figures import style
from pipeline.figures.search import course_figure, horizon_figure, through_time
from pipeline.figures.search_data import course, solved_share
from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.futility import Audit, Futility, NoProgress
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import reason_to_stop
from pipeline.prepare import ensure_prepared
from pipeline.records.gradients import contrast, read_profiles, write_profiles
from pipeline.records.horizon import horizon_json, read_horizon
from pipeline.records.trials import read_trials, write_trials
from pipeline.records.wording import REASONS, label, phrase, short
from pipeline.runs.search_summary import headline, horizon_by_updates, metrics, note_of, solved_by_length
from pipeline.runs.trial import Trial
from pipeline.settings import Settings
from pipeline.settings.fingerprint import fingerprint
from pipeline.settings.tuned import summary
from pipeline.study.claims import Claim
from pipeline.study.driver import Crew, Inline
from pipeline.study.opening import annotate, open_study
from pipeline.study.results import Result, read_study
from pipeline.study.trials import TrialResult, observations

STORAGE = "OPTUNA_STORAGE"  # variable of the environment, and only there, for it may hold a password
DATABASES = ("postgresql+psycopg2://", "sqlite:///", "journal:")  # what it may be
FUTILITY = Futility(NoProgress(after=0.7, window=0.4, rise=0.01), known=Audit(audited=139, false=14))  # see LOG.md
WROTE = "digest.trials"  # tag: by it the report finds the run that wrote its trials.csv
VAGUE = 2.5  # octaves: with a wider interval the search still climbs, and nobody knows how far


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
    with tracking.run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run:
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

    def crew(self, executor: Executor, workers: int) -> Crew:
        """The search as the driver wants it, with `workers` trials at once.

        What leaves this process is small: sequences are read, or drawn again, where the trial runs. Nor can it show
        how a trial goes on.
        """
        search = self.settings.search
        rule = FUTILITY if search.futility else None
        if rule and not rule.trusted(Audit()):
            self.shown.say("the rule of futility was wrong too often where it was audited, so every replica runs on")
        trial = Trial(self.settings, self.held_out, self.watcher.watch)
        if not isinstance(executor, Inline):
            trial = Trial(self.settings, self.held_out, code=fingerprint(self.settings))
        return Crew(self.study, trial, search, workers, self.watcher.started, self.watcher.finished, rule)

    def conclude(self) -> Horizon:
        """Write and show the answer."""
        found = horizon_from(observations(self.study), self.settings.search)
        self.watcher.catch_up()
        folder = self.settings.results_of("search")
        with replaced(folder) as fresh:
            write(fresh, self.settings, self.study, found)
            self.run.artifacts(fresh)
        seconds = time.monotonic() - self.watcher.began
        show(self.run, self.settings, self.study, found, seconds)
        for sentence in found.diagnostics:
            self.shown.say(f"warning: {sentence}")
        self.shown.summary(outline(self.settings, self.run, found, seconds))
        return found


def show(run: tracking.Run, settings: Settings, study: Study, found: Horizon, seconds: float) -> None:
    """Tell the reviewer what came out: the answer, how sure, and how to repeat it, on the parent run and the study."""
    folder = settings.results_of("search")
    horizon = read_horizon(folder / "horizon.json")
    updates = updates_run(study)
    run.metrics(updates, metrics(found) | {"search/seconds": seconds, "search/updates": updates})
    for charted in (solved_by_length(observations(study)), horizon_by_updates(found)):
        for step, numbers in charted.items():
            run.metrics(step, numbers)
    tags = {name: phrase(horizon[estimate]) for name, estimate in (("horizon", "t50"), ("horizon.t90", "t90"))}
    tags |= {"converged": str(found.converged).lower(), "duration": duration(seconds)}
    tags |= {"compute": f"{found.compute:.3g}", WROTE: digest(folder / "trials.csv")}
    tags |= {"signature": horizon["signature"]} if horizon.get("signature") else {}
    run.tags(tags)
    command, data = settings.command("search"), f"data/{settings.names['task']}"
    origin = {"Data": f"`{data}`, by DVC", "Code": tracking.code(), "Settings": "`settings.json`, all of them"}
    note = note_of(settings.names, settings.task, found, settings.search, command, origin)
    run.note(note)
    annotate(study, note)


def outline(settings: Settings, run: tracking.Run, found: Horizon, seconds: float) -> dict[str, str]:
    """What the command says at its end."""
    return {
        "horizon T50": phrase(found.t50.as_dict()),
        "T90": phrase(found.t90.as_dict()),
        "ended because": REASONS.get(found.reason or "", "it was cut short"),
        "trials": f"{found.trials} of {found.replicas} replicas, {duration(seconds)}",
        "files": str(settings.results_of("search")),
        "MLflow": run.link(settings.address),
    }


def updates_run(study: Study) -> int:
    """Updates of all replicas of all finished trials."""
    return round(sum(trial.cost / trial.length for trial in observations(study)))


def write(folder: Path, settings: Settings, study: Study, found: Horizon) -> None:
    """Every out of the stage."""
    results = read_study(study)
    write_trials(folder / "trials.csv", results)
    write_profiles(folder / "gradients.parquet", results)
    horizon = horizon_json(settings.names, settings.task, found, results, settings.search)
    write_json(folder / "horizon.json", horizon | {"tuned": summary(settings)})
    write_json(folder / "metrics.json", headline(found))
    rows = read_trials(folder / "trials.csv")
    style.save(horizon_figure(solved_share(rows, horizon)), folder / "horizon.svg")
    style.save(course_figure(course(rows, horizon)), folder / "course.svg")
    sides = contrast(rows, read_profiles(folder / "gradients.parquet"), horizon)
    title = f"{label(horizon['cell'])} on {label(horizon['task'])}"
    style.save(through_time(sides, title), folder / "gradients.svg")
    write_json(folder / "settings.json", settings.recorded)


@dataclass
class Watcher:
    """Shows a search while it goes on: each trial as a run of its own, and the interval as it narrows."""

    settings: Settings
    study: Study
    run: tracking.Run
    shown: Display
    began: float = field(default_factory=time.monotonic)
    length: int = 0  # of the trial that was started last
    since: dict[int, float] = field(default_factory=dict)  # when each trial began, in seconds since 1970
    logged: set[int] = field(default_factory=set)  # trials that are shown
    share: float = 0.0  # of the compute, as far as it can be foreseen
    answer: str = ""  # the last that is known
    remains: str = ""  # time, in words

    def __post_init__(self) -> None:
        """Show the trials that an earlier process finished."""
        self.before = read_study(self.study)
        self.catch_up()
        if self.before:
            self.shown.say(f"goes on after {len(self.before)} finished trials of study {self.study.study_name}")

    def started(self, claim: Claim) -> None:
        """A trial begins."""
        self.length, self.since[claim.ordinal] = claim.length, time.time()

    def watch(self, update: int, curve: Mapping[str, float]) -> None:
        """A trial goes on."""
        if "replicas/running" in curve:
            doing = f"T={self.length}, update {update}, {curve['replicas/solved']:.0f} solved"
            self.shown.now(self.share, doing, self.answer, self.remains)

    def finished(self, claim: Claim, trial: TrialResult, belief: Posterior) -> None:
        """A trial has ended."""
        self.catch_up()
        search = self.settings.search
        lower, upper = (2**octaves for octaves in belief.interval(search.level))
        interval = {"search/lower": lower, "search/median": 2 ** belief.quantile(0.5), "search/upper": upper}
        self.run.metrics(updates_run(self.study), {**interval, "search/length": trial.length})
        self.run.flush()
        solved, gone = f"{sum(trial.solved)} of {len(trial.solved)} solved", duration(time.monotonic() - self.began)
        between = f"horizon between {short(lower)} and {short(upper)}"
        aim = " (for T90)" if claim.aim == "t90" else ""
        self.answer = f"horizon {short(lower)} to {short(upper)}"
        self.remains = self.left(belief)
        self.shown.say(f"T={trial.length}{aim}: {solved}; {between}, {gone} gone, {self.remains}")

    def left(self, belief: Posterior) -> str:
        """About how long it still takes, from the speed so far."""
        seen = observations(self.study)
        if reason_to_stop(seen, belief, self.settings.search):
            self.share = 1.0
            return "done"
        done = sum(trial.cost for trial in seen[len(self.before) :])
        left = remaining_compute(seen, belief, self.settings.search)
        self.share = done / (done + left)
        if belief.octaves(self.settings.search.level) > VAGUE:
            return "too early to say how long"
        return f"about {duration(left * (time.monotonic() - self.began) / max(done, 1.0))} left"

    def catch_up(self) -> None:
        """Show every finished trial that is not shown yet, also those of other processes."""
        for result in read_study(self.study):
            if result.ordinal not in self.logged:
                self.logged.add(result.ordinal)
                self.log(result)

    def log(self, result: Result) -> None:
        """A finished trial as a nested run."""
        seen = result.seen
        name = f"T={seen.length} · {seen.solved}/{seen.replicas} solved"
        tags = {"level": "trial", "length": str(seen.length), "trial": str(result.ordinal)}
        tags |= {"solved": f"{seen.solved}/{seen.replicas}", "aim": seen.aim}
        tags |= {"signature": result.extra["signature"]} if result.extra["signature"] else {}
        child = self.run.child(name, tags, self.since.get(result.ordinal))
        for curve in result.extra["curves"]:
            child.metrics(int(curve["update"]), {name: value for name, value in curve.items() if name != "update"})
        child.metrics(seen.length, {"length/solved_share": seen.solved / seen.replicas})
        child.close()
