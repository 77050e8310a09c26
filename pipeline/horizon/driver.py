"""The search itself: ask for a length, train there, tell what came out, until the horizon is known.

Trials run in any `concurrent.futures.Executor`. Any number of processes may search the same study at once, and any of
them may be killed at any time: the next one goes on from the study (see `claims.py`).
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from optuna import Study
from optuna.trial import TrialState

from pipeline.horizon import claims
from pipeline.horizon.claims import Claim
from pipeline.horizon.futility import Futility, audit
from pipeline.horizon.model import Grid
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.owner import HEARTBEAT
from pipeline.horizon.posterior import Observation, Posterior, posterior
from pipeline.horizon.report import Horizon, horizon_from
from pipeline.horizon.stopping import reason_to_stop, wants_ninety
from pipeline.horizon.trials import TrialResult, finished, observations

POLL = 0.2  # seconds between looks at trials that other processes run

Attempt = Callable[..., TrialResult]  # (length, ordinal) -> what training its replicas gave
OnStart = Callable[[Claim], None]
OnFinish = Callable[[Claim, TrialResult, Posterior], None]


class Inline(Executor):
    """Runs each call at once, in this process."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def search(
    study: Study,
    attempt: Attempt,
    options: SearchOptions,
    executor: Executor,
    workers: int = 1,
    on_start: OnStart | None = None,
    on_finish: OnFinish | None = None,
    futility: Futility | None = None,
) -> Horizon:
    """Run trials until the horizon is known or a cap is reached, and return it.

    `attempt(length, ordinal)` trains `options.replicas` replicas, numbered from ordinal x replicas; it must be
    picklable where the executor needs that, and a pure function of its arguments, so that a resumed search ends like an
    undisturbed one. At most `workers` run at once. A known horizon is returned at once; trials of other processes are
    waited for. An exception of an attempt ends the search, after the trials that run have ended. With a rule of
    futility the attempt gets a third argument: the rule, or None once the study's audit has switched it off.
    """
    options.check()
    claims.await_owners(study)
    crew = _Crew(study, attempt, options, executor, workers, on_start, on_finish, futility)
    with _terminated_like_interrupted():
        try:
            crew.work()
        except BaseException:
            crew.abandon()
            raise
    return horizon_from(observations(study), options)


def current(study: Study, options: SearchOptions) -> tuple[list[Observation], Posterior]:
    """Return the finished trials of a study and their posterior."""
    seen = observations(study)
    return seen, posterior(seen, Grid(options.length_min, options.length_max))


@dataclass
class _Crew:
    """The trials that this process runs."""

    study: Study
    attempt: Attempt
    options: SearchOptions
    executor: Executor
    workers: int
    on_start: OnStart | None
    on_finish: OnFinish | None
    futility: Futility | None
    mine: dict[int, Claim] = field(default_factory=dict)  # by number
    running: dict[Future[TrialResult], Claim] = field(default_factory=dict)
    error: BaseException | None = None

    def work(self) -> None:
        """Launch and collect trials until there is no reason to go on."""
        while True:
            while not self.error and len(self.running) < self.workers and self.launch():
                pass
            if self.running:
                self.collect()
            elif self.error:
                raise self.error
            elif self.others_run():
                time.sleep(POLL)
            else:
                return

    def launch(self) -> bool:
        """Start one trial; return whether another one may follow."""
        claims.close_orphans(self.study)
        seen, found = current(self.study, self.options)
        if reason_to_stop(seen, found, self.options) or len(seen) + self.count_running() >= self.options.trials:
            return False
        claims.enqueue_retry(self.study)
        aim = "t90" if wants_ninety(seen, found, self.options) else "t50"
        claim = claims.claim(self.study, self.options, aim)
        if claim:
            self.start(claim)
        return True

    def start(self, claim: Claim) -> None:
        """Submit a claimed trial."""
        self.mine[claim.number] = claim
        if self.on_start:
            self.on_start(claim)
        arguments = (claim.length, claim.ordinal, *self.rule())
        self.running[self.executor.submit(self.attempt, *arguments)] = claim

    def rule(self) -> tuple[Futility | None, ...]:
        """Return the rule of futility as an argument of the attempt, if there is one."""
        if not self.futility:
            return ()
        extras = [trial.user_attrs.get("extra", {}) for trial in finished(self.study)]
        return (self.futility if self.futility.trusted(audit(extras)) else None,)

    def collect(self) -> None:
        """Wait until a trial ends or a heartbeat is due."""
        done, _ = wait(self.running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        for future in done:
            self.settle(future)
        for claim in self.running.values():
            claims.beat(claim)

    def settle(self, future: Future[TrialResult]) -> None:
        """Record how a trial ended."""
        claim = self.running[future]
        self.error = self.error or future.exception()
        if future.exception():
            claims.close(self.study, claim.number)
        elif claims.finish(self.study, claim, future.result()) and self.on_finish:
            self.on_finish(claim, future.result(), current(self.study, self.options)[1])
        del self.running[future], self.mine[claim.number]

    def abandon(self) -> None:
        """Tell FAIL whatever still runs, so that the next start takes it up."""
        for future in self.running:
            future.cancel()
        for number in self.mine:
            claims.close(self.study, number)

    def count_running(self) -> int:
        """Return how many trials of the study run, here and elsewhere."""
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    def others_run(self) -> bool:
        """Return whether other processes still run trials of this study."""
        return self.count_running() > 0


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
