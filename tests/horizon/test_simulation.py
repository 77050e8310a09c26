"""A small seeded version of tests/benchmarks/search.py: the search is cheap, and as sure as it says."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import optuna
import pytest
from numpy.random import Generator

from pipeline.executors.inline import Inline
from pipeline.study.driver import search
from pipeline.study.record import TrialResult
from pipeline.study.sampler import HorizonSampler
from tests.benchmarks.search import figures, generator, outcomes
from tests.benchmarks.search_designs import FULL_GRID, OURS, ascending
from tests.benchmarks.search_simulation import OPTIONS, Outcome, simulate, simulate_crew
from tests.benchmarks.search_truth import BUDGET, Truth, standard

CELLS = 60

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def ours() -> list[Outcome[Truth]]:
    """Return what our search found on made-up cells."""
    return outcomes(CELLS, standard)


def test_it_costs_a_fraction_of_a_repeated_grid(ours: list[Outcome[Truth]]) -> None:
    compute = figures(ours)["compute"]
    grid, climbing = (outcomes(CELLS, standard, design, trials=10**6) for design in (FULL_GRID, ascending(2)))
    assert compute < 0.25 * figures(grid)["compute"]
    assert compute < 0.85 * figures(climbing)["compute"]


def test_its_interval_holds_the_horizon_as_often_as_it_says(ours: list[Outcome[Truth]]) -> None:
    found = figures(ours)
    assert found["coverage"] >= 0.83  # .90 less two standard errors
    assert found["rmse"] <= 0.18
    assert abs(found["bias"]) <= 0.06
    assert found["resolved"] >= 0.97


@pytest.mark.parametrize(("theta", "side"), [(11.5, "above"), (1.5, "below")])
def test_a_horizon_half_an_octave_outside_is_called_so(theta: float, side: str) -> None:
    done = outcomes(20, lambda draw: standard(draw, theta))
    assert [each.reason for each in done] == [side] * 20


def test_several_workers_are_right_as_often() -> None:
    done = [simulate_crew(3, standard(generator(cell)), OPTIONS, cell) for cell in range(20)]
    assert figures(done)["coverage"] >= 0.75
    assert all(each.resolved for each in done)


def test_the_simulation_asks_as_the_driver_does() -> None:
    for cell in range(3):
        options = replace(OPTIONS, t90=True)
        simulated = simulate(OURS, standard(generator(cell)), options, cell)
        truth, draw = standard(generator(cell)), np.random.default_rng(cell)

        def trial(length: int, seeds: Sequence[int], cell: Truth = truth, draw: Generator = draw) -> TrialResult:
            seen = cell.trial(length, len(seeds), draw)
            each = {"updates": seen.updates, "updates_to_loose_goal": seen.updates, "seeds": tuple(seeds)}
            count = len(seeds)
            each |= {"diverged": (False,) * count, "best_score": (0.0,) * count}
            return TrialResult(length=length, replicas=count, solved=seen.solved, budget=BUDGET, cost=seen.cost, **each)

        study = optuna.create_study(direction="maximize", sampler=HorizonSampler.of(options))
        search(study, trial, options, Inline())
        assert [trial.params["length"] for trial in study.trials] == [seen.length for seen in simulated.seen]
        assert [trial.user_attrs["aim"] for trial in study.trials] == [seen.aim for seen in simulated.seen]
