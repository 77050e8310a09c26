"""Find the horizon of one cell on one task: the length at which half of the replicas still solve it within the budget.

    python -m pipeline.search task=temporal_order cell=rnn
    python -m pipeline.search task=adding cell=lstm search.length_max=512 search.factor=1.5

writes results/search/TASK-CELL/: horizon.json, metrics.json, settings.json, trials.csv, gradients.parquet, figures;
a parent run with one run for each trial in MLflow; and an Optuna study. Killed and started again, it goes on from the
last finished trial.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna import Study

from pipeline import figures, profiles, records, tracking
from pipeline.files import digest, replaced, write_json
from pipeline.horizon import driver
from pipeline.horizon.asking import remaining_compute
from pipeline.horizon.claims import Claim
from pipeline.horizon.futility import Audit, Futility, NoProgress
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.report import Horizon
from pipeline.horizon.stopping import reason_to_stop
from pipeline.horizon.study import annotate, open_study
from pipeline.horizon.trials import TrialResult, observations
from pipeline.prepare import ensure_prepared
from pipeline.progress import Display, display, duration
from pipeline.settings import CONF, ROOT, Settings, stage
from pipeline.trial import Trial
from pipeline.tuned import summary, tuned

CODE = ("cells", "horizon", "kernels", "learning", "tasks")  # what a trial's outcome depends on, besides the settings
FUTILITY = Futility(NoProgress(after=0.7, window=0.4, rise=0.01), known=Audit(audited=139, false=14))  # see LOG.md
WROTE = "digest.trials"  # tag: by it the report finds the run that wrote its trials.csv
VAGUE = 2.5  # octaves: with a wider interval the search still climbs, and nobody knows how far


@stage
def main(settings: Settings) -> None:
    """Find one horizon."""
    settings = tuned(settings)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = study_of(settings)
    tags = {"stage": "search", **settings.tags, "study": study.study_name}
    name = f"{settings.experiment or settings.names['cell']} · search"
    with (
        display(settings.title) as shown,
        tracking.run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run,
    ):
        held_out = ensure_prepared(settings)
        run.params(settings.tree)
        run.dataset(settings.names["task"], held_out.digest_of_all(), f"data/{settings.names['task']}", "held-out")
        watcher = Watcher(settings, study, run, shown)
        trial = Trial(settings, held_out, watcher.watch)
        with settings.part("executor") as executor:
            rule = FUTILITY if settings.search.futility else None
            if rule and not rule.trusted(Audit()):
                shown.say("the rule of futility was wrong too often where it was audited, so every replica runs on")
            found = driver.search(study, trial, settings.search, executor, 1, watcher.started, watcher.finished, rule)
        with replaced(settings.results_of("search")) as folder:
            write(folder, settings, study, found)
            run.artifacts(folder)
        show(run, settings, study, found, time.monotonic() - watcher.began)
        for sentence in found.diagnostics:
            shown.say(f"warning: {sentence}")
        shown.summary(outline(settings, run, found, time.monotonic() - watcher.began))


def show(run: tracking.Run, settings: Settings, study: Study, found: Horizon, seconds: float) -> None:
    """Tell the reviewer what came out: the answer, how sure, and how to repeat it, on the parent run and the study."""
    folder = settings.results_of("search")
    horizon = records.read_horizon(folder / "horizon.json")
    updates = updates_run(study)
    run.metrics(updates, records.metrics(found) | {"search/seconds": seconds, "search/updates": updates})
    for charted in (records.solved_by_length(observations(study)), records.horizon_by_updates(found)):
        for step, numbers in charted.items():
            run.metrics(step, numbers)
    tags = {name: records.phrase(horizon[estimate]) for name, estimate in (("horizon", "t50"), ("horizon.t90", "t90"))}
    tags |= {"converged": str(found.converged).lower(), "duration": duration(seconds)}
    tags |= {"compute": f"{found.compute:.3g}", WROTE: digest(folder / "trials.csv")}
    tags |= {"signature": horizon["signature"]} if horizon.get("signature") else {}
    run.tags(tags)
    command, data = settings.command("search"), f"data/{settings.names['task']}"
    origin = {"Data": f"`{data}`, by DVC", "Code": tracking.code(), "Settings": "`settings.json`, all of them"}
    note = records.note(settings.names, settings.task, found, settings.search, command, origin)
    run.note(note)
    annotate(study, note)


def outline(settings: Settings, run: tracking.Run, found: Horizon, seconds: float) -> dict[str, str]:
    """What the command says at its end."""
    return {
        "horizon T50": records.phrase(found.t50.as_dict()),
        "T90": records.phrase(found.t90.as_dict()),
        "ended because": records.REASONS.get(found.reason or "", "it was cut short"),
        "trials": f"{found.trials} of {found.replicas} replicas, {duration(seconds)}",
        "files": str(settings.results_of("search")),
        "MLflow": run.link(settings.address),
    }


def updates_run(study: Study) -> int:
    """Updates of all replicas of all finished trials."""
    return round(sum(trial.cost / trial.length for trial in observations(study)))


def study_of(settings: Settings) -> Study:
    """The study of these settings and this code, opened or made; its name says which."""
    folder = settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    sampler = settings.part("sampler", options=settings.search)
    name = f"{settings.title}-{fingerprint(settings)}"
    return open_study(f"sqlite:///{folder / 'optuna.db'}", name, sampler, settings.search.fresh)


def fingerprint(settings: Settings) -> str:
    """Eight digits of what decides a trial: the settings that a search uses, and the code."""
    tree = {
        name: dict(settings.tree[name])
        for name in ("task", "cell", "optimizer", "sampler", "data", "training", "search")
    }
    for group, free in (("training", ("length", "replicas", "threads")), ("search", ("fresh", "tuned"))):
        for name in free:
            del tree[group][name]
    total = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for path in code(settings):
        total.update(path.read_bytes())
    return total.hexdigest()[:8]


def code(settings: Settings) -> list[Path]:
    """The files that decide a trial; those of other cells and tasks do not, so that one may be added meanwhile."""
    files = {ROOT / "pipeline/trial.py"}
    for part in CODE:
        files |= {path for path in (ROOT / "pipeline" / part).rglob("*") if path.suffix in (".py", ".cpp")}
    for group in ("cell", "task"):
        options = [yaml.safe_load(path.read_text()) for path in (CONF / group).glob("*.yaml")]
        files -= {module_of(option.get(group, option)) for option in options} - {module_of(settings.tree[group])}
    return sorted(files)


def module_of(part: Mapping[str, Any]) -> Path:
    """The file that a `_target_` lies in."""
    return ROOT / (str(part["_target_"]).rpartition(".")[0].replace(".", "/") + ".py")


def write(folder: Path, settings: Settings, study: Study, found: Horizon) -> None:
    """Every out of the stage."""
    results = records.read_study(study)
    records.write_trials(folder / "trials.csv", results)
    records.write_profiles(folder / "gradients.parquet", results)
    horizon = records.horizon_json(settings.names, settings.task, found, results, settings.search)
    write_json(folder / "horizon.json", horizon | {"tuned": summary(settings)})
    write_json(folder / "metrics.json", records.headline(found))
    rows = records.read_trials(folder / "trials.csv")
    figures.save(figures.horizon(records.solved_share(rows, horizon)), folder / "horizon.svg")
    figures.save(figures.course(records.course(rows, horizon)), folder / "course.svg")
    contrast = profiles.contrast(rows, records.read_profiles(folder / "gradients.parquet"), horizon)
    title = f"{figures.label(horizon['cell'])} on {figures.label(horizon['task'])}"
    figures.save(figures.through_time(contrast, title), folder / "gradients.svg")
    write_json(folder / "settings.json", settings.recorded)


@dataclass
class Watcher:
    """Shows a search while it goes on: each trial as a run of its own, and the interval as it narrows."""

    settings: Settings
    study: Study
    run: tracking.Run
    shown: Display
    began: float = field(default_factory=time.monotonic)
    length: int = 0  # of the trial that runs
    since: float | None = None  # when it began, in seconds since 1970
    share: float = 0.0  # of the compute, as far as it can be foreseen
    answer: str = ""  # the last that is known
    remains: str = ""  # time, in words

    def __post_init__(self) -> None:
        """Show the trials that an earlier process finished."""
        self.before = records.read_study(self.study)
        for result in self.before:
            self.log(result)
        if self.before:
            self.shown.say(f"goes on after {len(self.before)} finished trials of study {self.study.study_name}")

    def started(self, claim: Claim) -> None:
        """A trial begins."""
        self.length, self.since = claim.length, time.time()

    def watch(self, update: int, curve: Mapping[str, float]) -> None:
        """A trial goes on."""
        if "replicas/running" in curve:
            doing = f"T={self.length}, update {update}, {curve['replicas/solved']:.0f} solved"
            self.shown.now(self.share, doing, self.answer, self.remains)

    def finished(self, claim: Claim, trial: TrialResult, belief: Posterior) -> None:
        """A trial has ended."""
        self.log(next(result for result in records.read_study(self.study) if result.ordinal == claim.ordinal))
        search = self.settings.search
        lower, upper = (2**octaves for octaves in belief.interval(search.level))
        interval = {"search/lower": lower, "search/median": 2 ** belief.quantile(0.5), "search/upper": upper}
        self.run.metrics(updates_run(self.study), {**interval, "search/length": trial.length})
        self.run.flush()
        solved, gone = f"{sum(trial.solved)} of {len(trial.solved)} solved", duration(time.monotonic() - self.began)
        between = f"horizon between {records.short(lower)} and {records.short(upper)}"
        aim = " (for T90)" if claim.aim == "t90" else ""
        self.answer = f"horizon {records.short(lower)} to {records.short(upper)}"
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

    def log(self, result: records.Result) -> None:
        """A finished trial as a nested run."""
        seen = result.seen
        name = f"T={seen.length} · {seen.solved}/{seen.replicas} solved"
        tags = {"level": "trial", "length": str(seen.length), "trial": str(result.ordinal)}
        tags |= {"solved": f"{seen.solved}/{seen.replicas}", "aim": seen.aim}
        tags |= {"signature": result.extra["signature"]} if result.extra["signature"] else {}
        child = self.run.child(name, tags, self.since)
        for curve in result.extra["curves"]:
            child.metrics(int(curve["update"]), {name: value for name, value in curve.items() if name != "update"})
        child.metrics(seen.length, {"length/solved_share": seen.solved / seen.replicas})
        child.close()


if __name__ == "__main__":
    main()
