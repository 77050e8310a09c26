"""Shows a search while it goes on: on the terminal and in MLflow."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from optuna import Study

from pipeline import tracking
from pipeline.base.terminal import Display, duration
from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.findings import Findings
from pipeline.horizon.stopping import reason_to_stop
from pipeline.records.wording import short
from pipeline.settings import Settings
from pipeline.study.claims import Claim
from pipeline.study.record import TrialRecord
from pipeline.study.results import read_study
from pipeline.study.trials import TrialResult

VAGUE = 2.5  # octaves: with a wider interval the search still climbs, and nobody knows how far


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

    def finished(self, claim: Claim, trial: TrialResult, found: Findings) -> None:
        """A trial has ended."""
        self.catch_up()
        belief, search = found.posterior, self.settings.search
        lower, upper = (2**octaves for octaves in belief.interval(search.level))
        interval = {"search/lower": lower, "search/median": 2 ** belief.quantile(0.5), "search/upper": upper}
        self.run.metrics(found.updates_run, {**interval, "search/length": trial.length})
        self.run.flush()
        solved, gone = f"{sum(trial.solved)} of {len(trial.solved)} solved", duration(time.monotonic() - self.began)
        between = f"horizon between {short(lower)} and {short(upper)}"
        aim = " (for T90)" if claim.aim == "t90" else ""
        self.answer = f"horizon {short(lower)} to {short(upper)}"
        self.remains = self.left(found)
        self.shown.say(f"T={trial.length}{aim}: {solved}; {between}, {gone} gone, {self.remains}")

    def left(self, found: Findings) -> str:
        """About how long it still takes, from the speed so far."""
        if reason_to_stop(found):
            self.share = 1.0
            return "done"
        done = sum(trial.cost for trial in found.seen[len(self.before) :])
        left = remaining_compute(found)
        self.share = done / (done + left)
        if found.posterior.octaves(self.settings.search.level) > VAGUE:
            return "too early to say how long"
        return f"about {duration(left * (time.monotonic() - self.began) / max(done, 1.0))} left"

    def catch_up(self) -> None:
        """Show every finished trial that is not shown yet, also those of other processes."""
        for trial in read_study(self.study):
            if trial.ordinal not in self.logged:
                self.logged.add(trial.ordinal)
                self.log(trial)

    def log(self, trial: TrialRecord) -> None:
        """A finished trial as a nested run."""
        tags = {"level": "trial", "length": str(trial.length), "trial": str(trial.ordinal)}
        tags |= {"solved": trial.score, "aim": trial.aim}
        tags |= {"signature": trial.signature} if trial.signature else {}
        child = self.run.child(f"T={trial.length} · {trial.score} solved", tags, self.since.get(trial.ordinal))
        for curve in trial.curves:
            child.metrics(int(curve["update"]), {name: value for name, value in curve.items() if name != "update"})
        child.metrics(trial.length, {"length/solved_share": trial.share})
        child.close()
