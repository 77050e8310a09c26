"""The search itself: ask for a length, train there, tell what came out, until the horizon is known.

Trials run in any `concurrent.futures.Executor`. Any number of processes may search the same study at once, and any of
them may be killed at any time: the next one goes on from the study (see `claims.py`).
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

from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior, posterior
from pipeline.horizon.stopping import reason_to_stop, wants_ninety
from pipeline.study import claims
from pipeline.study.claims import Claim
from pipeline.study.liveness import HEARTBEAT
from pipeline.study.trials import TrialResult, observations

POLL = 0.2  # seconds between looks at trials that other processes run
LOOK = 1.0  # the same while trials run here as well

RunTrial = Callable[[int, Sequence[int]], TrialResult]  # (length, seeds) -> what training its replicas gave
OnStart = Callable[[Claim], None]
OnFinish = Callable[[Claim, TrialResult, Posterior], None]
OnEnd = Callable[["Crew"], None]


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
    crew = Crew(study, run_trial, options, workers, on_start, on_finish)
    run([crew], executor, workers)
    if crew.error:
        raise crew.error
    return horizon_from(observations(study), options)


def run(crews: Sequence["Crew"], executor: Executor, workers: int, on_end: OnEnd | None = None) -> None:
    """Run the trials of several searches, at most `workers` at once; the next is of the search that cost least so far.

    `on_end` is called with each search as it ends, also where a trial raised: then its `error` says what, and the
    others go on.
    """
    for crew in crews:
        crew.options.check()
        claims.await_owners(crew.study)
    gang = _Gang(list(crews), executor, workers, on_end)
    with _terminated_like_interrupted(), claims.beating(gang.claimed, HEARTBEAT):
        try:
            gang.work()
        except BaseException:
            gang.abandon()
            raise


def current(study: Study, options: SearchOptions) -> tuple[list[Observation], Posterior]:
    """Return the finished trials of a study and their posterior."""
    seen = observations(study)
    return seen, posterior(seen, Grid(options.length_min, options.length_max))


class Next(Enum):
    """What a search can do now."""

    TRIAL = "run this trial"
    AGAIN = "look again: the trial proved to be another's"
    WAIT = "wait for trials that run"
    END = "nothing is left to do"


@dataclass
class Crew:
    """One search: what it does next, and what its trials gave."""

    study: Study
    run_trial: RunTrial
    options: SearchOptions
    workers: int = 1  # trials of this study at once, in all processes
    on_start: OnStart | None = None
    on_finish: OnFinish | None = None
    error: BaseException | None = None
    mine: dict[int, Claim] = field(default_factory=dict)  # that run here, by number

    @property
    def cost(self) -> float:
        """Replica x updates x length so far; a trial that runs counts as much as the mean of those before it."""
        costs = [trial.cost for trial in observations(self.study)]
        return sum(costs) * (1 + len(self.mine) / max(len(costs), 1)) + len(self.mine)

    def next(self) -> tuple[Next, Claim | None]:
        """Take the next trial, if there is one."""
        if self.error:
            return (Next.WAIT if self.mine else Next.END), None
        claims.close_orphans(self.study)
        running = claims.count_running(self.study)
        if running >= self.workers:
            return Next.WAIT, None
        seen, found = current(self.study, self.options)
        if reason_to_stop(seen, found, self.options) or len(seen) + running >= self.options.trials:
            return (Next.WAIT if running else Next.END), None
        claims.enqueue_retry(self.study)
        aim = "t90" if wants_ninety(seen, found, self.options) else "t50"
        claim = claims.claim(self.study, self.options, aim, self.workers)
        return (Next.TRIAL, claim) if claim else (Next.AGAIN, None)

    def settle(self, claim: Claim, future: Future[TrialResult]) -> None:
        """Record how a trial ended. A cancelled one was lost by the executor, and is tried again."""
        del self.mine[claim.number]
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, CancelledError):
            claims.close(self.study, claim.number)
        elif error:
            self.error = self.error or error
            claims.close(self.study, claim.number)
        elif claims.finish(self.study, claim, future.result()) and self.on_finish:
            self.on_finish(claim, future.result(), current(self.study, self.options)[1])


@dataclass
class _Gang:
    """The trials that this process runs, of one search or of many."""

    crews: list[Crew]  # that have not ended
    executor: Executor
    workers: int
    on_end: OnEnd | None
    running: dict[Future[TrialResult], tuple[Crew, Claim]] = field(default_factory=dict)
    claimed: dict[int, Claim] = field(default_factory=dict)  # all that run here, by identity

    def work(self) -> None:
        """Launch and collect trials until every search has ended."""
        while self.crews:
            while len(self.running) < self.workers and self.launch():
                pass
            if self.running:
                self.collect()
            elif self.crews:
                time.sleep(POLL)

    def launch(self) -> bool:
        """Start a trial of the search that cost least and can have one; return whether another one may follow."""
        for crew in sorted(self.crews, key=lambda crew: crew.cost) if len(self.crews) > 1 else list(self.crews):
            step, claim = crew.next()
            if claim:
                self.start(crew, claim)
            if step is Next.END:
                self.end(crew)
            if step in (Next.TRIAL, Next.AGAIN):
                return True
        return False

    def start(self, crew: Crew, claim: Claim) -> None:
        """Submit a claimed trial."""
        crew.mine[claim.number] = self.claimed[id(claim)] = claim
        if crew.on_start:
            crew.on_start(claim)
        self.running[self.executor.submit(crew.run_trial, claim.length, claim.seeds)] = crew, claim

    def collect(self) -> None:
        """Wait until a trial ends, or until it is time to look whether another process has left work."""
        waiting = len(self.running) < self.workers and any(not crew.mine for crew in self.crews)
        done, _ = wait(self.running, timeout=LOOK if waiting else HEARTBEAT, return_when=FIRST_COMPLETED)
        for future in done:
            crew, claim = self.running.pop(future)
            crew.settle(claim, future)
            del self.claimed[id(claim)]

    def end(self, crew: Crew) -> None:
        """Let go of a search that has nothing left to do."""
        self.crews.remove(crew)
        if self.on_end:
            self.on_end(crew)

    def abandon(self) -> None:
        """Tell FAIL whatever still runs, so that the next start takes it up."""
        for future in self.running:
            future.cancel()
        for crew in self.crews:
            for number in crew.mine:
                claims.close(crew.study, number)


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
