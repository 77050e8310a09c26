"""Trials of a study: what it records of one, and finished ones as the posterior reads them."""

from collections.abc import Iterable
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from pipeline.base.trees import as_json
from pipeline.horizon.observation import Observation
from pipeline.study.record import TrialResult

LENGTH = "length"  # the one parameter of a study


def attributes(result: TrialResult) -> dict[str, Any]:
    """Return what a study records of a result, as JSON values; its length is the parameter of the trial."""
    return {name: value for name, value in as_json(result).items() if name != LENGTH}


def seeds_of(ordinal: int, replicas: int) -> list[int]:
    """Return the seeds of a trial's replicas, from which their weights and data are drawn."""
    return [ordinal * replicas + replica for replica in range(replicas)]


def observation(trial: FrozenTrial, replicas: int = 1) -> Observation:
    """Return a finished trial as the posterior reads it; `replicas` serves where the study does not record them."""
    known = trial.user_attrs
    count = int(known.get("replicas", replicas))
    return Observation(
        length=int(trial.params[LENGTH]),
        solved=int(known.get("solved", round((trial.value or 0.0) * count))),
        replicas=count,
        updates=tuple(known.get("updates", ())),
        budget=int(known.get("budget", 0)),
        cost=float(known.get("cost", 0.0)),
        aim=str(known.get("aim", "t50")),
    )


def all_trials(study: Study) -> list[FrozenTrial]:
    """Return all trials of a study, in the order of their numbers."""
    return sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)


def finished_in(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the complete ones of these trials, in the order of their ordinals."""
    mine = [trial for trial in trials if trial.state == TrialState.COMPLETE and LENGTH in trial.params]
    return sorted(mine, key=lambda trial: (trial.user_attrs.get("ordinal", trial.number), trial.number))


def finished(study: Study) -> list[FrozenTrial]:
    """Return the complete trials of a study in the order of their ordinals."""
    return finished_in(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def observations_in(trials: Iterable[FrozenTrial], replicas: int = 1) -> list[Observation]:
    """Return the complete ones of these trials as the posterior reads them."""
    return [observation(trial, replicas) for trial in finished_in(trials)]


def observations(study: Study, replicas: int = 1) -> list[Observation]:
    """Return the complete trials of a study as the posterior reads them."""
    return [observation(trial, replicas) for trial in finished(study)]
