"""Trials of a study: what it records of one, and finished ones as the posterior reads them."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from pipeline.base.trees import as_json
from pipeline.horizon.observation import Observation
from pipeline.horizon.options import REPLICAS
from pipeline.study.record import TrialResult

LENGTH = "length"  # the one parameter of a study
REFUSED = "refused"  # user attribute of a trial that the sampler could not read: Optuna keeps its value all the same
NEARLY = 1e-6  # a share that misses one of whole replicas by less was rounded


def attributes(result: TrialResult) -> dict[str, Any]:
    """Return what a study records of a result, as JSON values; its length is the parameter of the trial."""
    return {name: value for name, value in as_json(result).items() if name != LENGTH}


def seeds_of(ordinal: int, replicas: int) -> list[int]:
    """Return the seeds of a trial's replicas, from which their weights and data are drawn."""
    return [ordinal * replicas + replica for replica in range(replicas)]


def observation(trial: FrozenTrial, replicas: int = 1) -> Observation:
    """Return a finished trial as the posterior reads it; `replicas` serves where the study does not record them.

    Raises `ValueError` where the trial is of something else than a share of replicas that solved a length.
    """
    return told(trial.number, trial.params[LENGTH], trial.value, trial.user_attrs, replicas)


def told(number: int, length: Any, value: Any, known: Mapping[str, Any], replicas: int) -> Observation:
    """Return what a trial says, from its parameter, its value and its user attributes.

    Raises `ValueError`, one sentence, for the first that can't be: a share beyond 0 to 1, or one of no whole replicas.
    """

    def of_trial(kept: bool, name: str, rule: str, got: Any) -> None:
        if not kept:
            raise ValueError(f"trial {number}: {name} {rule}; got {got!r}")

    of_trial(_whole(length, 1), LENGTH, "must be a whole number of at least 1", length)
    count, updates = known.get("replicas", replicas), known.get("updates", ())
    of_trial(_whole(count, 1) and count <= REPLICAS, "replicas", f"must be a whole number from 1 to {REPLICAS}", count)
    share = isinstance(value, int | float) and 0 <= value <= 1
    of_trial(share, "the value", "must be the share of the replicas that solved, from 0 to 1", value)
    solved = known.get("solved", round(value * count))
    of_trial(_whole(solved, 0) and solved <= count, "solved", f"must be a whole number from 0 to {count}", solved)
    same = abs(value - solved / count) < NEARLY
    of_trial(same, "the value", f"must be a share of {count} replicas{', those solved' * ('solved' in known)}", value)
    each = isinstance(updates, list | tuple) and all(one is None or _whole(one, 1) for one in updates)
    of_trial(
        each and len(updates) in (0, count),
        "updates",
        f"must hold, for each of {count} replicas, when it solved, or None",
        updates,
    )
    for name in ("budget", "cost"):
        number_of = known.get(name, 0)
        kept = isinstance(number_of, int | float) and 0 <= number_of < inf
        of_trial(kept, name, "must be a number of at least 0", number_of)
    return Observation(
        length=length,
        solved=solved,
        replicas=count,
        updates=tuple(updates),
        budget=int(known.get("budget", 0)),
        cost=float(known.get("cost", 0.0)),
        aim=str(known.get("aim", "t50")),
    )


def _whole(value: Any, least: int) -> bool:
    """Return True for a whole number of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def all_trials(study: Study) -> list[FrozenTrial]:
    """Return all trials of a study, in the order of their numbers."""
    return sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)


def finished_in(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the complete ones of these trials, in the order of their ordinals, without those that were refused."""
    complete = (trial for trial in trials if trial.state == TrialState.COMPLETE and LENGTH in trial.params)
    mine = [trial for trial in complete if REFUSED not in trial.user_attrs]
    return sorted(mine, key=lambda trial: (trial.user_attrs.get("ordinal", trial.number), trial.number))


def finished(study: Study) -> list[FrozenTrial]:
    """Return the complete trials of a study in the order of their ordinals, without those that were refused."""
    return finished_in(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def observations_in(trials: Iterable[FrozenTrial], replicas: int = 1) -> list[Observation]:
    """Return the complete ones of these trials as the posterior reads them."""
    return [observation(trial, replicas) for trial in finished_in(trials)]


def observations(study: Study, replicas: int = 1) -> list[Observation]:
    """Return the complete trials of a study as the posterior reads them."""
    return [observation(trial, replicas) for trial in finished(study)]
