"""A search that is killed, anywhere, ends like one that is not."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage

from pipeline.study import opening as study_module
from tests.base.draws import SEED
from tests.study import toy_search
from tests.study.toy_search import outcome

WRITES = ("create_new_trial", "set_trial_user_attr", "set_trial_param", "set_trial_state_values")
fork = multiprocessing.get_context("fork")


def run_and_die(storage: str, write: int, after: bool) -> None:
    """Search, and kill this process with -9 at its n-th write to the study, before or after it."""
    written = 0

    def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal written
            written += 1
            if written == write and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = original(*args, **kwargs)
            if written == write and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    at = study_module.storage_at

    def deadly_storage(url: str) -> BaseStorage:
        place = at(url)
        for name in WRITES:
            setattr(place, name, deadly(getattr(place, name)))
        return place

    study_module.storage_at = deadly_storage
    toy_search.run(storage)


def run_to_end(storage: str) -> None:
    """Search to the end in a process of its own."""
    process = fork.Process(target=toy_search.run, args=(storage,))
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.slow
def test_killed_at_every_write_it_ends_with_the_same_trials_and_horizon(tmp_path: Path) -> None:
    run_to_end(f"sqlite:///{tmp_path}/undisturbed.db")
    expected = outcome(f"sqlite:///{tmp_path}/undisturbed.db")
    storage, write, deaths = f"sqlite:///{tmp_path}/killed.db", 0, 0
    while True:
        write += 1
        process = fork.Process(target=run_and_die, args=(storage, 1 + 7 * write % 27, bool(write % 2)))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        deaths += 1
    assert deaths >= 20
    assert outcome(storage) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "kills"),
    [
        ("journal:", 5),  # which the test above does not use
        pytest.param("journal:", 50, marks=pytest.mark.long),
        pytest.param("sqlite:///", 50, marks=pytest.mark.long),
    ],
)
def test_killed_at_random_moments_it_ends_with_the_same_trials_and_horizon(
    tmp_path: Path, scheme: str, kills: int
) -> None:
    run_to_end(f"{scheme}{tmp_path}/undisturbed")
    storage, draw = f"{scheme}{tmp_path}/killed", random.Random(SEED)
    for _ in range(kills):
        process = fork.Process(target=toy_search.run, args=(storage, 0.02))
        process.start()
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.join()
    run_to_end(storage)
    assert outcome(storage) == outcome(f"{scheme}{tmp_path}/undisturbed")
