"""The search itself: ask for a length, train there, record what came out, until the horizon is known.

Trials run in any `concurrent.futures.Executor`. Any number of processes may search the same study at once, and any of
them may be killed at any time: the next one resumes from the study (see `claims.py`).
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import FrameType

from optuna import Study
from optuna.trial import FrozenTrial

from pipeline.horizon.acquisition import purpose
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.stopping import reason_to_stop
from pipeline.study import claims
from pipeline.study.claims import Claim
from pipeline.study.liveness import HEARTBEAT
from pipeline.study.record import TrialResult
from pipeline.study.trials import all_trials, observations, observations_in

POLL = 0.2  # seconds between looks at trials that other processes run
LOOK = 1.0  # the same while trials run here as well

RunTrial = Callable[[int, Sequence[int]], TrialResult]  # (length, seeds) -> what training its replicas gave
OnStart = Callable[[Claim], None]
OnFinish = Callable[[Claim, Sequence[FrozenTrial], Findings], None]
"""(the trial that ended, all trials of the study then, what the finished ones say)"""
OnEnd = Callable[["Search"], None]


def search(
    study: Study,
    run_trial: RunTrial,
    options: SearchOptions,
    executor: Executor,
    workers: int = 1,
    on_start: OnStart | None = None,
    on_finish: OnFinish | None = None,
) -> Horizon:
    """Run trials until the horizon is known or a cap is reached, and return it.

    `run_trial(length, seeds)` trains a replica for each of the seeds. It must be picklable where the executor needs
    that, and a pure function of its arguments, so that a resumed search ends like an undisturbed one. At most `workers`
    trials of the study run at once, those of other processes included: with one worker every trial is asked for with
    all before it known, so the search is a function of its outcomes alone, whatever the executor, and however many
    processes take turns at it. A known horizon is returned at once; trials of other processes are waited for. An
    exception of a trial ends the search, after the trials that run have ended.
    """
    one = Search(study, run_trial, options, workers, on_start, on_finish)
    run([one], executor, workers)
    if one.error:
        raise one.error
    return horizon_from(observations(study), options)


def run(searches: Sequence["Search"], executor: Executor, workers: int, on_end: OnEnd | None = None) -> None:
    """Run the trials of several searches, at most `workers` at once; the next is of the search that cost least so far.

    `on_end` is called with each search as it ends, also if a trial raised: then its `error` says what, and the others
    continue.
    """
    for each in searches:
        each.options.check()
        claims.await_owners(each.study)
    scheduler = Scheduler(list(searches), executor, workers, on_end)
    with _terminated_like_interrupted(), claims.heartbeats(scheduler.claimed, HEARTBEAT):
        try:
            scheduler.work()
        except BaseException:
            scheduler.abandon()
            raise


class Next(Enum):
    """The options of a search at one moment."""

    TRIAL = "run this trial"
    AGAIN = "look again: the trial proved to be another's"
    WAIT = "wait for trials that run"
    END = "nothing is left to do"


@dataclass
class Search:
    """One search: what it does next, and what its trials gave. It reads its study once an event."""

    study: Study
    run_trial: RunTrial
    options: SearchOptions
    workers: int = 1  # trials of this study at once, in all processes
    on_start: OnStart | None = None
    on_finish: OnFinish | None = None
    error: BaseException | None = None
    mine: dict[int, Claim] = field(default_factory=dict)  # that run here, by number
    _found: Findings | None = None  # at the last event

    @property
    def cost(self) -> float:
        """Replica x updates x length so far; a trial that runs counts as much as the mean of those before it."""
        found = self._found or self._findings(all_trials(self.study))
        return found.cost * (1 + len(self.mine) / max(len(found.seen), 1)) + len(self.mine)

    def next(self) -> tuple[Next, Claim | None]:
        """Take the next trial, if there is one."""
        if self.error:
            return (Next.WAIT if self.mine else Next.END), None
        trials = claims.without_orphans(self.study)
        running = claims.count_running(trials)
        if running >= self.workers:
            return Next.WAIT, None
        found = self._findings(trials)
        if reason_to_stop(found) or len(found.seen) + running >= self.options.trials:
            return (Next.WAIT if running else Next.END), None
        claims.enqueue_retry(self.study, trials)
        claim = claims.claim(self.study, self.options, *purpose(found), self.workers)
        return (Next.TRIAL, claim) if claim else (Next.AGAIN, None)

    def settle(self, claim: Claim, future: Future[TrialResult]) -> None:
        """Record how a trial ended. A cancelled one was lost by the executor, and is retried."""
        del self.mine[claim.number]
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, CancelledError):
            claims.close(self.study, claim.number)
        elif error:
            self.error = self.error or error
            claims.close(self.study, claim.number)
        elif claims.finish(self.study, claim, future.result()):
            trials = all_trials(self.study)
            found = self._findings(trials)
            if self.on_finish:
                self.on_finish(claim, trials, found)

    def _findings(self, trials: Sequence[FrozenTrial]) -> Findings:
        """Return what the finished ones say, computed only if there are others than at the last event."""
        seen = observations_in(trials)
        if self._found is None or self._found.seen != seen:
            self._found = Findings.of(seen, self.options)
        return self._found


@dataclass
class Scheduler:
    """The trials that this process runs, of one search or of many."""

    searches: list[Search]  # that have not ended
    executor: Executor
    workers: int
    on_end: OnEnd | None
    running: dict[Future[TrialResult], tuple[Search, Claim]] = field(default_factory=dict)
    claimed: dict[int, Claim] = field(default_factory=dict)  # all that run here, by identity

    def work(self) -> None:
        """Launch and collect trials until every search has ended."""
        while self.searches:
            while len(self.running) < self.workers and self.launch():
                pass
            if self.running:
                self.collect()
            elif self.searches:
                time.sleep(POLL)

    def launch(self) -> bool:
        """Start a trial of the search that cost least and can have one; return True if another one may follow."""
        for each in sorted(self.searches, key=lambda each: each.cost) if len(self.searches) > 1 else [*self.searches]:
            step, claim = each.next()
            if claim:
                self.start(each, claim)
            if step is Next.END:
                self.end(each)
            if step in (Next.TRIAL, Next.AGAIN):
                return True
        return False

    def start(self, search: Search, claim: Claim) -> None:
        """Submit a claimed trial."""
        search.mine[claim.number] = self.claimed[id(claim)] = claim
        if search.on_start:
            search.on_start(claim)
        self.running[self.executor.submit(search.run_trial, claim.length, claim.seeds)] = search, claim

    def collect(self) -> None:
        """Wait until a trial ends, or until it is time to look for work that another process left."""
        waiting = len(self.running) < self.workers and any(not search.mine for search in self.searches)
        done, _ = wait(self.running, timeout=LOOK if waiting else HEARTBEAT, return_when=FIRST_COMPLETED)
        for future in done:
            search, claim = self.running.pop(future)
            search.settle(claim, future)
            del self.claimed[id(claim)]

    def end(self, search: Search) -> None:
        """Let go of a search that has nothing left to do."""
        self.searches.remove(search)
        if self.on_end:
            self.on_end(search)

    def abandon(self) -> None:
        """Close whatever still runs as failed, so that the next start retries it."""
        for future in self.running:
            future.cancel()
        for search in self.searches:
            for number in search.mine:
                claims.close(search.study, number)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, where nobody else handles it."""
    handled = threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM)
    if handled:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")
