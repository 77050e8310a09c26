"""Claiming trials of a study so that none is lost, doubled or blocked, whichever process is killed and when.

Every trial has an ordinal, from which its seeds derive. A fresh trial's ordinal is the number of fresh trials before
it. A trial that failed, or whose process died, is enqueued again with its length and its ordinal, marked as a retry.
All of this is derived from the study itself, so no step can be lost in between. Two processes may enqueue the same
retry: then the trial with the smaller number counts, and whoever takes the other one drops it.

Optuna's heartbeat and RetryFailedTrialCallback would not do: they clone a stale trial under a new number, and here the
ordinal, with the seeds that derive from it, must stay.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

from optuna import Study, Trial
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from pipeline.base import processes
from pipeline.base.errors import UserError
from pipeline.horizon.options import SearchOptions
from pipeline.study import liveness
from pipeline.study.record import TrialResult
from pipeline.study.trials import LENGTH, all_trials, attributes, seeds_of

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs."""

    trial: Trial
    number: int  # in the study
    ordinal: int  # among the trials that are not retries
    length: int
    seeds: Sequence[int]  # of its replicas
    aim: str  # "t50", "t90" or "check"


def claim(study: Study, options: SearchOptions, aim: str, replicas: int, workers: int = 1) -> Claim | None:
    """Take the next trial, of some replicas: one that waits to be run again, or a fresh one.

    None if it proved to be another's, or if other processes were faster and `workers` trials run already; then its
    number is free again, and nothing was asked.
    """
    trial = study.ask()
    try:
        trial.set_user_attr("owner", processes.here())
        trials = all_trials(study)
        if doubled(trials, trial.number) or running_before(trials, trial.number) >= workers:
            close(study, trial.number)
            return None
        ordinal = ordinals(trials)[trial.number]
        length = trial.suggest_int(LENGTH, options.length_min, options.length_max, log=True)
        seeds = seeds_of(ordinal, options.replicas)[:replicas]
        for name, value in {"ordinal": ordinal, "aim": aim, "seeds": seeds}.items():
            trial.set_user_attr(name, value)
    except UpdateFinishedTrialError:
        return None  # we were slow, and another process took us for dead
    return Claim(trial, trial.number, ordinal, length, seeds, aim)


def finish(study: Study, mine: Claim, result: TrialResult) -> bool:
    """Record a result; return False if another process has closed the trial, and so runs it again."""
    try:
        for name, value in attributes(result).items():
            mine.trial.set_user_attr(name, value)
        study.tell(mine.trial, result.share)
    except UpdateFinishedTrialError:
        return False
    except ValueError:
        if is_running(study, mine.number):
            raise
        return False
    return True


def close(study: Study, number: int) -> None:
    """Close a trial as failed, unless it is finished."""
    if not is_running(study, number):
        return
    with suppress(UpdateFinishedTrialError):  # another process may be faster
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def is_running(study: Study, number: int) -> bool:
    """Return True if a trial is RUNNING."""
    return all_trials(study)[number].state == TrialState.RUNNING


def beat(mine: Claim) -> None:
    """Give a sign of life for processes on other machines."""
    # `finish` will notice; the next beat may get through
    with suppress(UpdateFinishedTrialError, StorageInternalError, UserError):
        mine.trial.set_user_attr("heartbeat", time.time())


@contextmanager
def heartbeats(claims: Mapping[int, Claim], every: float) -> Iterator[None]:
    """Give signs of life for these trials from a thread, also while this one trains."""
    over = threading.Event()

    def beat_on() -> None:
        while not over.wait(every):
            for mine in list(claims.values()):
                beat(mine)

    thread = threading.Thread(target=beat_on, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(liveness.GRACE)  # it may wait for a database that is away


def without_orphans(study: Study) -> list[FrozenTrial]:
    """Close every RUNNING trial whose process died, and return all trials as they are then."""
    trials = all_trials(study)
    orphans = [trial.number for trial in trials if trial.state == TrialState.RUNNING and not liveness.is_alive(trial)]
    for number in orphans:
        close(study, number)
    return all_trials(study) if orphans else trials


def await_owners(study: Study) -> None:
    """Wait until every RUNNING trial names its owner or is too old for that."""
    while any(map(liveness.is_newborn, study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))):
        time.sleep(0.05)


def enqueue_retry(study: Study, trials: Sequence[FrozenTrial]) -> None:
    """Enqueue the first failed one of a study's trials that is not running or complete, unless one is waiting."""
    if any(trial.state == TrialState.WAITING for trial in trials):
        return
    numbers = ordinals(trials)
    live = {numbers[trial.number] for trial in trials if trial.state in LIVE}
    failed = [trial for trial in trials if numbers[trial.number] not in live]
    if failed:
        ordinal = min(numbers[trial.number] for trial in failed)
        lengths = [trial.params for trial in failed if numbers[trial.number] == ordinal and LENGTH in trial.params]
        study.enqueue_trial(dict(lengths[0]) if lengths else {}, user_attrs={"ordinal": ordinal, "retry": True})


def ordinals(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """Return the ordinal of every trial, by its number."""
    fresh = count()
    return {
        trial.number: trial.user_attrs["ordinal"] if trial.user_attrs.get("retry") else next(fresh) for trial in trials
    }


def count_running(trials: Iterable[FrozenTrial]) -> int:
    """Return how many of these trials run, in all processes."""
    return sum(trial.state == TrialState.RUNNING for trial in trials)


def running_before(trials: Sequence[FrozenTrial], number: int) -> int:
    """Return how many trials that were taken before this one run."""
    return sum(trial.state == TrialState.RUNNING and trial.number < number for trial in trials)


def doubled(trials: Sequence[FrozenTrial], number: int) -> bool:
    """Return True if an earlier trial with the same ordinal is alive, or any is complete."""
    numbers = ordinals(trials)
    twins = [trial for trial in trials if numbers[trial.number] == numbers[number] and trial.number != number]
    complete = any(trial.state == TrialState.COMPLETE for trial in twins)
    return complete or any(trial.state in LIVE and trial.number < number for trial in twins)
