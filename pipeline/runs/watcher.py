"""Shows a search while it runs: on the terminal and in MLflow."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.base.terminal import duration, duration_range
from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.findings import Findings
from pipeline.horizon.stopping import reason_to_stop
from pipeline.records.wording import short
from pipeline.runs.work import Work, color
from pipeline.study.claims import Claim
from pipeline.study.record import TrialRecord
from pipeline.study.results import read_study, records_in

AIMS = {"t90": "for T90", "check": "does it contradict?"}
LEAST, MOST = 0.3, 3.8  # of the compute that is foreseen to be left, what was, four in five times: benchmarks.time_left
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
            name, options = self.study.study_name, self.work.settings.search
            self.work.display.print(f"resumes study {name}: {self.before} trials already finished")
            self.left(Findings.of([trial.observation for trial in trials], options))

    def started(self, claim: Claim) -> None:
        """Take the start of a trial."""
        self.length, self.since[claim.ordinal] = claim.length, time.time()
        self.work.display.progress(self.share, f"T={self.length} begins", self.answer, self.remains)

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
        again = any(each.length == trial.length for each in records if each.ordinal < trial.ordinal)
        aim = AIMS.get(claim.aim, "again, with other seeds" if again else "")
        solved, gone = f"{trial.solved} of {trial.replicas}", duration(self.work.seconds)
        cells = {"trial": f"{len(records):5}", "T": f"{trial.length:5}", "solved": f"{solved:>7}"}
        cells |= {"horizon": f"{short(lower)} to {short(upper)}".rjust(15), "gone": f"{gone:>6}", "": aim}
        between = f"horizon between {short(lower)} and {short(upper)}"
        sentence = f"T={trial.length}{f' ({aim})' if aim else ''}: {solved} solved; {between}, {gone} gone"
        self.work.display.row(cells, f"{sentence}, {self.remains}" if self.remains else sentence)

    def left(self, found: Findings) -> str:
        """Return in words how long it still takes, from the speed so far."""
        if reason_to_stop(found):
            self.share = 1.0
            return "done"
        left, new = remaining_compute(found), found.seen[self.before :]
        self.share = found.cost / (found.cost + left)
        if not new or found.posterior.octaves(found.options.level) > VAGUE:
            return ""
        speed = max(sum(trial.cost for trial in new), 1.0) / self.work.seconds
        most = max(min(MOST * left, found.options.limit - found.cost), left)
        return f"{duration_range(LEAST * left / speed, most / speed)} left"

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
