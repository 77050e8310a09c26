"""The driver: caps, errors, interruptions, several workers, several processes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from pipeline.base import processes
from pipeline.base.errors import UserError
from pipeline.executors.inline import Inline
from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.answer import horizon_from
from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.study import driver, liveness
from pipeline.study.claims import Claim
from pipeline.study.driver import Search, run, search
from pipeline.study.record import TrialResult
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import observations
from tests.study import toy_search
from tests.study.rows import observations_of_rows, trial_rows
from tests.study.toy import Toy, options
from tests.study.toy_search import check_no_trial_is_lost_doubled_or_blocked, outcome

optuna.logging.set_verbosity(optuna.logging.WARNING)
fork = multiprocessing.get_context("fork")


def new_study(chosen: SearchOptions) -> Study:
    """Return a study in memory."""
    return optuna.create_study(direction="maximize", sampler=HorizonSampler.of(chosen))


def test_it_finds_the_toys_horizon_and_never_reruns_a_finished_search() -> None:
    chosen = options()
    study = new_study(chosen)
    found = search(study, Toy(), chosen, Inline())
    assert found.converged
    assert found.reason == "interval"
    assert found.t50.lower and found.t50.upper
    assert found.t50.lower < 40 < found.t50.upper <= 1.5 * found.t50.lower
    count = len(study.trials)
    assert search(study, Toy(fails_at=count), chosen, Inline()) == found
    assert len(study.trials) == count


def test_the_horizon_is_the_same_from_the_table_of_trials() -> None:
    chosen = options(t90=True)
    study = new_study(chosen)
    found = search(study, Toy(), chosen, Inline())
    assert horizon_from(observations_of_rows(trial_rows(study)), chosen) == found


def test_seeds_and_aims_are_recorded() -> None:
    chosen = options(t90=True)
    study = new_study(chosen)
    search(study, Toy(), chosen, Inline())
    trials = study.get_trials()
    assert [trial.user_attrs["ordinal"] for trial in trials] == list(range(len(trials)))
    assert trials[3].user_attrs["seeds"] == [12, 13, 14, 15]
    assert {trial.user_attrs["aim"] for trial in trials} == {"t50", "t90"}


@pytest.mark.parametrize(("horizon", "censored"), [(2000.0, "above"), (0.5, "below")])
def test_a_horizon_outside_the_range_is_censored(horizon: float, censored: str) -> None:
    chosen = options()
    found = search(new_study(chosen), Toy(horizon=horizon), chosen, Inline())
    assert (found.reason, found.t50.censored, found.t50.median, found.converged) == (censored, censored, None, True)


def test_it_gives_up_at_the_cap_on_trials() -> None:
    chosen = options(factor=1.01, trials=7)
    found = search(new_study(chosen), Toy(), chosen, Inline())
    assert (found.trials, found.reason, found.converged) == (7, "trials", False)


def test_it_gives_up_at_the_cap_on_compute() -> None:
    chosen = options(factor=1.01, compute=0.4)
    study = new_study(chosen)
    found = search(study, Toy(), chosen, Inline())
    assert (found.reason, found.converged) == ("compute", False)
    assert 200_000 < found.compute <= 400_000  # no trial begins that may exceed it


def test_an_attempt_that_raises_ends_the_search_and_is_tried_again_at_the_next_start() -> None:
    chosen = options()
    study = new_study(chosen)
    with pytest.raises(RuntimeError, match="trial 3 broke"):
        search(study, Toy(fails_at=3), chosen, Inline())
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["FAIL"]
    undisturbed = new_study(chosen)
    assert search(study, Toy(), chosen, Inline()) == search(undisturbed, Toy(), chosen, Inline())
    assert trial_rows(study) == trial_rows(undisturbed)


def test_running_trials_end_before_an_exception_is_raised() -> None:
    chosen = options()
    study = new_study(chosen)
    with ThreadPoolExecutor(3) as pool, pytest.raises(RuntimeError, match="trial 4 broke"):
        search(study, Toy(fails_at=4, seconds=0.02), chosen, pool, workers=3)
    assert all(trial.state.is_finished() for trial in study.trials)
    assert sum(trial.state == TrialState.FAIL for trial in study.trials) == 1


def test_an_interrupted_search_goes_on_where_it_was() -> None:
    chosen = options()
    study = new_study(chosen)

    def interrupt(claim: Claim) -> None:
        if claim.ordinal == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(study, Toy(), chosen, Inline(), on_start=interrupt)
    assert study.trials[-1].state == TrialState.FAIL
    assert search(study, Toy(), chosen, Inline()) == search(new_study(chosen), Toy(), chosen, Inline())


def test_sigterm_interrupts_like_a_key() -> None:
    chosen = options()
    study = new_study(chosen)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(KeyboardInterrupt):
        search(study, Toy(seconds=0.1), chosen, Inline())
    assert study.trials[-1].state == TrialState.FAIL
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_callbacks_see_every_trial_and_the_posterior_after_it() -> None:
    chosen = options()
    started: list[int] = []
    widths: list[float] = []
    left: list[float] = []
    study = new_study(chosen)

    def on_finish(claim: Claim, trials: Sequence[FrozenTrial], found: Findings) -> None:
        assert trials[claim.number].params == {"length": claim.length}
        assert found.seen == observations(study)
        widths.append(found.posterior.octaves(0.9))
        left.append(remaining_compute(found))

    found = search(
        study, Toy(), chosen, Inline(), on_start=lambda claim: started.append(claim.ordinal), on_finish=on_finish
    )
    assert started == list(range(found.trials))
    assert len(widths) == found.trials
    assert widths[-1] < widths[0]
    assert all(compute > 0 for compute in left)


def test_wrong_options_are_a_sentence() -> None:
    chosen = options(length_max=3)
    with pytest.raises(UserError, match=r"^search.length_max must be above search.length_min \(4\); got 3$"):
        search(new_study(chosen), Toy(), chosen, Inline())


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_run_side_by_side_and_count_every_trial_once(workers: int) -> None:
    chosen = options(factor=1.2)
    study = new_study(chosen)
    with ThreadPoolExecutor(workers) as pool:
        found = search(study, Toy(seconds=0.01), chosen, pool, workers=workers)
    check_no_trial_is_lost_doubled_or_blocked(study)
    assert found.converged
    assert found == horizon_from(observations(study), chosen)


def test_workers_never_exceed_the_cap_on_trials() -> None:
    chosen = options(factor=1.01, trials=10)
    study = new_study(chosen)
    with ThreadPoolExecutor(4) as pool:
        assert search(study, Toy(seconds=0.01), chosen, pool, workers=4).trials == 10
    assert len(study.trials) == 10


def test_a_process_pool_that_loses_a_child_ends_the_search_and_the_next_start_goes_on() -> None:
    chosen = options()
    study = new_study(chosen)
    with ProcessPoolExecutor(1, mp_context=fork) as pool:

        def kill_in_the_third(claim: Claim) -> None:
            if claim.ordinal == 2:
                _kill_children(pool)

        with pytest.raises(Exception, match="terminated abruptly"):
            search(study, Toy(), chosen, pool, on_start=kill_in_the_third)
    assert search(study, Toy(), chosen, Inline()).converged
    check_no_trial_is_lost_doubled_or_blocked(study)


def _kill_children(pool: ProcessPoolExecutor) -> None:
    for child in list(pool._processes):
        os.kill(child, signal.SIGKILL)
    time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["sqlite:///", "journal:"])
def test_several_processes_share_a_study_though_some_are_killed(tmp_path: Path, scheme: str) -> None:
    storage = f"{scheme}{tmp_path}/shared"
    crowd = [fork.Process(target=toy_search.run, args=(storage, 0.05)) for _ in range(3)]
    for process in crowd:
        process.start()
    time.sleep(0.5)
    crowd[0].kill()
    time.sleep(0.2)
    crowd[1].kill()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [-9, -9, 0]
    rows, found = outcome(storage)
    assert found.converged
    assert len(rows) == found.trials


def test_a_trial_whose_process_is_unknown_is_closed_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "GRACE", 0.05)
    chosen = options()
    study = new_study(chosen)
    study.ask()
    assert search(study, Toy(), chosen, Inline()) == search(new_study(chosen), Toy(), chosen, Inline())
    assert study.trials[0].state == TrialState.FAIL


def test_a_trial_of_another_machine_is_left_alone_until_its_heart_stops() -> None:
    study = new_study(options())
    trial = study.ask()
    trial.set_user_attr("owner", processes.here() | {"machine": "elsewhere"})
    (frozen,) = study.trials
    assert all(liveness.is_alive(frozen, now=1000.0 + seconds) for seconds in (0, 50, 100))
    assert not liveness.is_alive(frozen, now=1130.0)
    trial.set_user_attr("heartbeat", 5.0)  # its clock may say what it likes
    (frozen,) = study.trials
    assert all(liveness.is_alive(frozen, now=1140.0 + seconds) for seconds in (0, 50, 100))
    assert not liveness.is_alive(frozen, now=1270.0)


def test_who_could_not_look_for_a_while_listens_anew_before_it_takes_a_trial_for_dead() -> None:
    study = new_study(options())
    study.ask().set_user_attr("owner", processes.here() | {"machine": "elsewhere"})
    (frozen,) = study.trials
    assert liveness.is_alive(frozen, now=1000.0)
    assert liveness.is_alive(frozen, now=2000.0)  # suspended, or the database was away
    assert all(liveness.is_alive(frozen, now=2000.0 + seconds) for seconds in (50, 100))
    assert not liveness.is_alive(frozen, now=2130.0)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_takes_no_living_trial_for_dead(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    study = new_study(options())
    trial = study.ask()
    trial.set_user_attr("owner", processes.here() | {"machine": "elsewhere"})
    assert liveness.is_alive(study.trials[0])
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + jump)
    assert liveness.is_alive(study.trials[0])


def test_hearts_beat_while_this_process_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "HEARTBEAT", 0.02)
    chosen, beats = options(trials=3), []
    study = new_study(chosen)

    def training(length: int, seeds: Sequence[int]) -> TrialResult:
        for _ in range(2):
            time.sleep(0.1)
            beats.append(study.trials[seeds[0] // 4].user_attrs["heartbeat"])
        return Toy()(length, seeds)

    search(study, training, chosen, Inline())
    assert len(beats) == 6
    assert beats == sorted(set(beats))
    assert "heartbeat" not in [thread.name for thread in threading.enumerate()]


def test_a_second_driver_waits_and_takes_over_so_that_the_search_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options()
    study, undisturbed = new_study(chosen), new_study(chosen)
    search(undisturbed, Toy(), chosen, Inline())
    with ThreadPoolExecutor(3) as drivers:
        found = [drivers.submit(search, study, Toy(seconds=0.02), chosen, Inline()) for _ in range(3)]
    assert trial_rows(study) == trial_rows(undisturbed)
    assert len({each.result() for each in found}) == 1


class Forgetful(Executor):
    """Loses every third trial, as a scheduler does that is started again."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        if self.calls % 3:
            return Inline().submit(call, *args, **kwargs)
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()  # which wakes whoever waits
        return future


def test_a_trial_that_the_executor_lost_is_run_again() -> None:
    chosen = options()
    study, undisturbed = new_study(chosen), new_study(chosen)
    found = search(study, Toy(), chosen, executor := Forgetful())
    assert found == search(undisturbed, Toy(), chosen, Inline())
    assert executor.calls > found.trials
    check_no_trial_is_lost_doubled_or_blocked(study)


def test_searches_side_by_side_end_as_they_would_alone_and_share_the_cost_fairly() -> None:
    chosen = options(factor=1.2)
    toys = [Toy(horizon=20.0), Toy(horizon=60.0), Toy(horizon=150.0)]
    searches = [Search(new_study(chosen), toy, chosen) for toy in toys]
    costs: list[list[float]] = []
    ended: list[Search] = []
    for each in searches:
        each.on_finish = lambda *_: costs.append([each.cost for each in searches if each not in ended])
    with ThreadPoolExecutor(2) as pool:
        run(searches, pool, workers=2, on_end=ended.append)
    assert len(ended) == 3
    for each, toy in zip(searches, toys, strict=True):
        alone = new_study(chosen)
        assert search(alone, toy, chosen, Inline()) == horizon_from(observations(each.study), chosen)
        assert trial_rows(alone) == trial_rows(each.study)
    dearest = max(trial.cost for each in searches for trial in observations(each.study))
    assert all(max(seen) - min(seen) <= 2 * dearest for seen in costs if len(seen) > 1)


def test_a_search_that_fails_does_not_end_the_others() -> None:
    chosen = options()
    searches = [Search(new_study(chosen), Toy(fails_at=1), chosen), Search(new_study(chosen), Toy(), chosen)]
    run(searches, Inline(), workers=1)
    assert str(searches[0].error) == "trial 1 broke"
    assert searches[1].error is None
    assert horizon_from(observations(searches[1].study), chosen).converged


def test_a_process_number_that_was_given_again_is_not_the_owner() -> None:
    study = new_study(options())
    trial = study.ask()
    trial.set_user_attr("owner", processes.here())
    assert liveness.is_alive(study.trials[0])
    trial.set_user_attr("owner", processes.here() | {"started": "1"})
    assert not liveness.is_alive(study.trials[0])
