"""The published experiments as YAMLs: each is what its name says, and the searches run."""

from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline import search
from tests.conftest import compose, run_stage

TRAININGS = {"sgd": (float("inf"), 0.0), "sgd_c": (1.0, 0.0), "sgd_cr": (1.0, 2.0)}  # clip, weight of Omega
INITS = {"": "basic_tanh", "_smart": "smart_tanh", "_sigmoid": "sigmoid"}


@pytest.mark.parametrize("suffix", INITS)
@pytest.mark.parametrize("training", TRAININGS)
def test_nine_experiments_differ_in_training_and_init_alone(training: str, suffix: str) -> None:
    found, base = compose(f"+experiment=pascanu_{training}{suffix}"), compose("+experiment=pascanu_sgd")
    clip, weight = TRAININGS[training]
    assert asdict(found.training) == asdict(base.training) | {"clip": clip, "regularizer": weight}
    assert found.tree["cell"] == base.tree["cell"] | {"init": INITS[suffix]}
    for group in ("task", "optimizer", "search", "data"):
        assert found.tree[group] == base.tree[group]


def test_they_are_as_published() -> None:
    found = compose("+experiment=pascanu_sgd_cr")
    assert found.pair == "temporal_order-rnn"
    assert (found.tree["cell"]["hidden"], found.training.batch, found.task.goal) == (50, 20, 0.01)
    optimizer = found.tree["optimizer"]
    assert (optimizer["_target_"], optimizer["lr"], optimizer["momentum"]) == ("torch.optim.SGD", 0.01, 0.0)


def test_the_model_for_all_lengths_is_trained_on_50_to_200_and_tested_to_5000() -> None:
    training = compose("+experiment=pascanu_generalize").training
    assert (training.shortest, training.length, training.regularizer, training.clip) == (50, 200, 2.0, 1.0)
    assert max(training.test_lengths) == 5000


@pytest.mark.parametrize("name", ["bengio_latch", "bengio_parity"])
def test_a_point_of_1994_has_eighteen_runs(name: str) -> None:
    assert compose(f"+experiment={name}").training.replicas == 18


def test_a_search_with_the_regularizer_runs(tmp_path: Path) -> None:
    sizes = "training.updates=10 search.trials=2 search.length_max=20 data.held_out=20 training.threads=1"
    paths = f"paths.data={tmp_path}/d paths.results={tmp_path}/r paths.state={tmp_path} tracking.enabled=false"
    ended = run_stage(search.main, f"+experiment=pascanu_sgd_cr {sizes} {paths}")
    assert ended.status == 0, ended.err
    assert list((tmp_path / "r").rglob("horizon.json"))
