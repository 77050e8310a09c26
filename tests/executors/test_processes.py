"""Processes of this machine: one that dies takes nothing with it but its own call, which is made again."""

import os
import pickle
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.executors.processes import Processes
from tests.conftest import compose
from tests.executors.calls import dies_first, sleeps, tells_its_process, writes


@pytest.mark.slow
def test_a_dead_process_costs_its_own_call_a_second_try_and_the_others_nothing(tmp_path: Path) -> None:
    with Processes(workers=2, retries=1) as executor:
        kept = [executor.submit(writes, tmp_path / f"kept-{number}") for number in range(3)]
        died = executor.submit(dies_first, tmp_path / "died")
        assert [each.result(60) for each in kept] == [1, 1, 1]  # each was called once
        assert died.result(60) == 2
        assert executor.submit(tells_its_process).result(60) != os.getpid()


@pytest.mark.slow
def test_a_call_that_kills_every_process_is_given_up_and_an_error_ends_what_runs(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Processes(workers=1, retries=0) as executor:
        with pytest.raises(BrokenProcessPool):
            executor.submit(dies_first, tmp_path / "died").result(60)
        running = executor.submit(sleeps, 600)
        began = time.monotonic()
        time.sleep(0.5)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 30
    assert running.done()


def test_settings_are_checked_before_anything_starts() -> None:
    with pytest.raises(UserError, match=r"^executor.workers must be at least 1; got 0$"):
        compose("executor=processes", "executor.workers=0")
    with pytest.raises(UserError, match=r"^executor.address must be null or begin with tcp://.*; got 'host:8786'$"):
        compose("executor=dask", "executor.address='host:8786'")
    with pytest.raises(UserError, match=r"^executor.memory must be a size like 4 GiB; got 'much'$"):
        compose("executor=dask", "executor.memory=much")


def test_what_travels_to_a_worker_is_small() -> None:
    from pipeline.runs.prepared import held_out_of
    from pipeline.runs.trial import Trial

    settings = compose("executor=processes")
    trial = Trial(settings, held_out_of(settings), code="0123abcd")
    assert len(pickle.dumps(trial)) < 10_000  # bytes
    assert pickle.loads(pickle.dumps(trial)).settings == settings
    assert settings.training.threads == 1


def test_a_worker_with_other_code_is_refused() -> None:
    from pipeline.runs.prepared import held_out_of
    from pipeline.runs.trial import Trial

    settings = compose()
    with pytest.raises(UserError, match="has other code than the search"):
        Trial(settings, held_out_of(settings), code="0123abcd")(8, [0])


@pytest.mark.slow
def test_workers_end_with_their_driver_however_it_ends() -> None:
    import subprocess

    from tests.base.commands import ROOT, environment

    driver = subprocess.Popen(
        ["python", "-m", "tests.executors.calls"], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}/stat").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}/stat").exists()
