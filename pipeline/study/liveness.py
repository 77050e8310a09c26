"""Signs of life of the processes that run trials; a killed one leaves its trials RUNNING in the study."""

import time
from typing import Any

from optuna.trial import FrozenTrial

from pipeline.base import processes
from pipeline.study import optuna_private

HEARTBEAT = 30.0  # seconds between signs of life
SILENCE = 120.0  # seconds without one after which a process on another machine is taken for dead
GRACE = 2.0  # seconds that a new trial may take to name its owner

# by trial: its last sign of life, when this process first saw that, and when it last looked
_heard: dict[Any, tuple[Any, float, float]] = {}


def is_alive(trial: FrozenTrial, now: float | None = None) -> bool:
    """Return True if a RUNNING trial is still worked on; `now` in seconds of this process's own clock.

    Clocks of two machines are never compared, and a clock that is set does no harm: a process on another machine is
    taken for dead when this one has looked for `SILENCE` seconds and heard no new sign of life. If it could not look
    meanwhile, for it was suspended or the database was away, it listens anew.
    """
    owner = trial.user_attrs.get("owner")
    if owner is not None and owner["machine"] == processes.machine():
        return processes.runs(owner["process"], owner["started"])
    return _silence(trial, time.monotonic() if now is None else now) < (GRACE if owner is None else SILENCE)


def _silence(trial: FrozenTrial, now: float) -> float:
    """Return for how long this process has known the last sign of life of a trial, in seconds."""
    sign = (trial.user_attrs.get("owner") is None, trial.user_attrs.get("heartbeat"))
    key = (trial.number, optuna_private.trial_id(trial), trial.datetime_start)
    known, since, looked = _heard.get(key, (None, now, now))
    if known != sign or now - looked > SILENCE / 2:
        since = now
    _heard[key] = (sign, since, now)
    return now - since


def is_newborn(trial: FrozenTrial) -> bool:
    """Return True if a RUNNING trial has not named its owner yet, but may still do so."""
    return "owner" not in trial.user_attrs and is_alive(trial)
