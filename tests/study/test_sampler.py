"""The sampler: Optuna's own contract, and what it asks for."""

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, SingleOnlySamplerTestCase

from pipeline.horizon.acquisition import ceiling, next_length, share_used, trial_cost
from pipeline.horizon.ladder import ladder
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import posterior
from pipeline.study.sampler import HorizonSampler
from tests.study.toy import Toy, options, seen

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestOptunasContract(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's tests suggest other parameters, so another sampler stands by for them."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Return what makes a sampler."""
        return lambda: HorizonSampler(4, 64, independent_sampler=RandomSampler(seed=0))


def test_another_parameter_is_an_error() -> None:
    study = optuna.create_study(sampler=HorizonSampler(4, 64))
    with pytest.raises(ValueError, match=r"suggests one parameter, suggest_int\('length', 4, 64, log=True\); got 'x'"):
        study.ask().suggest_float("x", 0, 1)


def test_it_starts_at_the_shortest_length_and_climbs_by_octaves() -> None:
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler(4, 512))
    lengths = []
    for _ in range(5):
        trial = study.ask()
        lengths.append(trial.suggest_int("length", 4, 512, log=True))
        study.tell(trial, 1.0)
    assert lengths == [4, 8, 16, 32, 64]


def test_it_asks_by_relative_sampling_with_fixed_distributions_too() -> None:
    sampler = HorizonSampler(4, 512)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    trial = study.ask(sampler.infer_relative_search_space(study, study.ask()._cached_frozen_trial))
    assert trial.params == {"length": 4}


def test_failed_and_running_trials_are_ignored() -> None:
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler(4, 512))
    study.ask().suggest_int("length", 4, 512, log=True)
    study.tell(study.ask().number, state=optuna.trial.TrialState.FAIL)
    assert study.ask().suggest_int("length", 4, 512, log=True) == 4


def test_two_samplers_on_the_same_trials_ask_alike() -> None:
    studies = [optuna.create_study(direction="maximize", sampler=HorizonSampler(4, 256)) for _ in range(2)]
    for study in studies:
        for ordinal in range(12):
            trial = study.ask()
            result = Toy().trial(trial.suggest_int("length", 4, 256, log=True), ordinal)
            study.tell(trial, result.share)
    first, second = [[trial.params for trial in study.trials] for study in studies]
    assert first == second


def test_a_length_is_at_most_twice_the_longest_that_half_solved() -> None:
    assert ceiling([], 4, 2.0) == 4
    assert ceiling(seen((4, 0)), 4, 2.0) == 4
    assert ceiling(seen((4, 4), (8, 2), (16, 1)), 4, 2.0) == 16
    assert ceiling(seen((8, 2), (8, 1)), 4, 2.0) == 4


def test_it_takes_the_length_with_the_most_information_for_its_cost() -> None:
    chosen = options(length_max=64)
    trials = seen((4, 4), (8, 4), (16, 4), (32, 1), (23, 3))
    found = posterior(trials, Grid(4, 64))
    worth = {
        length: found.information(length, 4) / trial_cost(length, found.chance(length), 4, 0.5)
        for length in ladder(4, 46)
        if length in ladder(4, 64)
    }
    assert next_length(trials, found, chosen) == max(worth, key=lambda length: worth[length])


def test_cost_is_predicted_from_what_solvers_used() -> None:
    assert share_used(seen((4, 4))) == 0.5
    trial = Observation(4, 2, 3, updates=(100, 300, None), budget=1000)
    assert share_used([trial]) == pytest.approx(0.2)
    assert trial_cost(100, 0.0, 4, 0.2) == pytest.approx(4 * 116)
    assert trial_cost(100, 1.0, 4, 0.2) == pytest.approx(4 * 36)
