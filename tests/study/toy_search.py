"""A whole search, to be run in a process of its own, and killed."""

import optuna
from optuna import Study
from optuna.trial import TrialState

from pipeline.executors.inline import Inline
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.study import liveness
from pipeline.study.driver import search
from pipeline.study.opening import open_study
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import observations
from tests.study.rows import Row, trial_rows
from tests.study.toy import Toy, options

CHOICES = options(factor=1.25, t90=True, t90_trials=4)


def run(storage: str, seconds: float = 0.0) -> Horizon:
    """Search the toy's horizon on this storage, each trial taking some seconds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    liveness.GRACE = 0.3
    study = open_study(storage, "toy", HorizonSampler.of(CHOICES))
    return search(study, Toy(seconds=seconds), CHOICES, Inline())


def outcome(storage: str) -> tuple[list[Row], Horizon]:
    """Return all that a search leaves behind, read from its storage."""
    study = open_study(storage, "toy", HorizonSampler.of(CHOICES))
    check_no_trial_is_lost_doubled_or_blocked(study)
    return trial_rows(study), horizon_from(observations(study), CHOICES)


def check_no_trial_is_lost_doubled_or_blocked(study: Study) -> None:
    """Assert that every ordinal has exactly one complete trial, and that nothing waits or runs."""
    trials = study.get_trials(deepcopy=False)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    complete = [trial.user_attrs["ordinal"] for trial in trials if trial.state == TrialState.COMPLETE]
    assert sorted(complete) == list(range(len(complete)))
