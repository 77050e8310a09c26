"""Shows a search while it runs: on the terminal and in MLflow."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.base.terminal import duration
from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.findings import Findings
from pipeline.horizon.stopping import reason_to_stop
from pipeline.records.wording import short
from pipeline.runs.work import Work, color
from pipeline.study.claims import Claim
from pipeline.study.record import TrialRecord
from pipeline.study.results import read_study, records_in

AIMS = {"t90": " (for T90)", "check": " (does it contradict?)"}
VAGUE = 2.5  # octaves: with a wider interval the search still climbs, and nobody knows how far


@dataclass
class Watcher:
    """Shows a search while it runs: each trial as a run of its own, and the interval as it narrows."""

    work: Work
    study: Study
    length: int = 0  # of the trial that was started last
    since: dict[int, float] = field(default_factory=dict)  # when each trial began, in seconds since 1970
    logged: set[int] = field(default_factory=set)  # trials that MLflow has
    before: int = 0  # trials that earlier processes finished
    share: float = 0.0  # of the compute, as far as that can be estimated
    answer: str = ""  # the last that is known
    remains: str = ""  # time, in words

    def __post_init__(self) -> None:
        """Show the trials that an earlier process finished."""
        trials = read_study(self.study)
        if trials:
            self.work.run.take_over(self.study.study_name)
        self.log_new(trials)
        self.before = len(trials)
        if trials:
            print_line, name = self.work.display.print, self.study.study_name
            print_line(f"resumes study {name}: {self.before} trials already finished")

    def started(self, claim: Claim) -> None:
        """Take the start of a trial."""
        self.length, self.since[claim.ordinal] = claim.length, time.time()

    def watch(self, update: int, curve: Mapping[str, float]) -> None:
        """Show the progress of a trial."""
        if "replicas/running" in curve:
            doing = f"T={self.length}, update {update}, {curve['replicas/solved']:.0f} solved"
            self.work.display.progress(self.share, doing, self.answer, self.remains)

    def finished(self, claim: Claim, trials: Sequence[FrozenTrial], found: Findings) -> None:
        """Show what a trial gave, and what all of them say now."""
        records = records_in(trials, self.study.study_name)
        self.log_new(records)
        trial = next(each for each in records if each.ordinal == claim.ordinal)
        lower, upper = (2**octaves for octaves in found.posterior.interval(found.options.level))
        interval = {"search/lower": lower, "search/median": 2 ** found.posterior.quantile(0.5), "search/upper": upper}
        self.work.run.metrics(found.updates_run, {**interval, "search/length": trial.length})
        self.work.run.flush()
        self.answer, self.remains = f"horizon {short(lower)} to {short(upper)}", self.left(found)
        aim = AIMS.get(claim.aim, "")
        solved, gone = f"{trial.solved} of {trial.replicas} solved", duration(self.work.seconds)
        between = f"horizon between {short(lower)} and {short(upper)}"
        self.work.display.print(f"T={trial.length}{aim}: {solved}; {between}, {gone} gone, {self.remains}")

    def left(self, found: Findings) -> str:
        """Return in words how long it still takes, from the speed so far."""
        if reason_to_stop(found):
            self.share = 1.0
            return "done"
        done = sum(trial.cost for trial in found.seen[self.before :])
        left = remaining_compute(found)
        self.share = done / (done + left)
        if found.posterior.octaves(found.options.level) > VAGUE:
            return "too early to say how long"
        return f"about {duration(left * self.work.seconds / max(done, 1.0))} left"

    def log_new(self, trials: Sequence[TrialRecord]) -> None:
        """Log each finished trial that is not logged yet, also those of other processes."""
        for trial in trials:
            if trial.ordinal not in self.logged:
                self.logged.add(trial.ordinal)
                self.log(trial)

    def log(self, trial: TrialRecord) -> None:
        """Log a finished trial as a nested run."""
        tags = {
            "level": "trial",
            "mlflow.runColor": color(self.work.settings.names["cell"]),
            "length": str(trial.length),
            "trial": str(trial.ordinal),
        }
        tags |= {"study": self.study.study_name, "solved": trial.score, "aim": trial.aim}
        tags |= {"signature": trial.signature} if trial.signature else {}
        child = self.work.run.child(f"T={trial.length} · {trial.score} solved", tags, self.since.get(trial.ordinal))
        for curve in trial.curves:
            child.metrics(int(curve["update"]), {name: value for name, value in curve.items() if name != "update"})
        child.metrics(0, {"length": trial.length})
        child.metrics(trial.length, {"length/solved_share": trial.share})
        child.close()
