"""Explaining one small pair: what it writes, that a kill costs no finished training, and what it refuses."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import explain
from pipeline.base.files import write_json
from pipeline.base.trees import as_json
from pipeline.explanation.arms import LUCK, MEMORY, PLAIN, SMALLER, change
from pipeline.records.explanation import Training, read_explanation, read_maps, spared
from pipeline.runs.arms import Trainer, changed, left_out
from tests.conftest import Ended, compose, run_stage
from tests.records.made import committed, estimate

PAIR = "temporal_order-lstm"
WORDS = (
    "task=temporal_order cell=lstm cell.hidden=2 training.updates=4 training.probe_every=2 training.batch=4 "
    "data.held_out=20 training.threads=1 training.kernel=torch search.tuned=false search.length_max=20 "
    "explain.group=4 explain.round=4 explain.failing=4 tracking.enabled=false"
)


def line(folder: Path, *more: str) -> str:
    return (
        f"{WORDS} paths.data={folder}/data paths.results={folder}/results paths.state={folder}/state {' '.join(more)}"
    )


def search_of(folder: Path, **changes: object) -> None:
    """What a search of the pair would have written."""
    settings = compose(*line(folder).split())
    found = replace(committed(PAIR), t50=estimate(10.2, 10.0, 11.0), length_max=20, budget=4, compute=10**5)
    search = folder / "results/search" / PAIR
    search.mkdir(parents=True)
    write_json(search / "horizon.json", as_json(replace(found, **changes)))
    write_json(search / "settings.json", settings.recorded)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    search_of(folder)
    done = run_stage(explain.main, line(folder))
    assert done.status == 0, done.err
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "results/explain" / PAIR).iterdir()}


def test_it_writes_the_verdict_with_what_it_rests_on(explained: Path) -> None:
    folder = explained / "results/explain" / PAIR
    found = read_explanation(folder / "explanation.json")
    assert found.verdict == "unknown" and found.counts == {"unknown": 4}  # two units learn nothing in four updates
    assert [arm.name for arm in found.arms] == ["luck", "memory", "smaller", "budget", "both", "larger"]
    assert {arm.share.seeds for arm in found.arms} == {4}
    assert {arm.share.solved for arm in found.arms} == {0} and found.without.keys() == {"regularizer"}
    assert found.failing.decay.keys() == {"h", "c"} and found.failing.seeds == len(found.failed) == 4
    assert found.cost == found.length * 4 * (4 + 4 * (1 + 1 + 1 + 4 + 4 + 1)) <= found.cap
    maps = read_maps(folder / "maps.parquet")
    assert [each.seed for each in maps] == [seed.seed for seed in found.seeds]
    assert maps[0].updates[0] == 1 and len(maps[0].norms["c"][0]) == len(maps[0].steps) == found.length
    rows = (folder / "seeds.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 and rows[1].startswith("100000,,unknown,failed,failed")
    assert "<svg" in (folder / "maps.svg").read_text() and "<svg" in (folder / "rescue.svg").read_text()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The arms that are trained, in their order."""
    trained: list[str] = []
    train: Callable[..., list[Training]] = Trainer.train

    def noted(self: Trainer, arm: str, *others: object) -> list[Training]:
        trained.append(arm)
        if trained.count("STOP") == 0 and len(trained) > int(os.environ.get("STOP_AFTER", "99")):
            raise KeyboardInterrupt
        return train(self, arm, *others)

    monkeypatch.setattr(Trainer, "train", noted)
    yield trained


def test_cut_short_it_goes_on_from_the_last_training_and_writes_the_same_bytes(
    explained: Path, counted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_of(tmp_path)
    monkeypatch.setenv("STOP_AFTER", "4")
    assert run_stage(explain.main, line(tmp_path)).status != 0
    assert not (tmp_path / "results/explain" / PAIR).exists()
    (broken,) = (tmp_path / "state/.state/explain").iterdir()
    (broken / "budget-100000.part").write_text('{"arm": "bud')  # killed while it was written
    done, counted[:] = counted[:-1], []
    monkeypatch.delenv("STOP_AFTER")
    assert run_stage(explain.main, line(tmp_path)).status == 0
    assert done == [PLAIN, LUCK, MEMORY, SMALLER] and counted == ["budget", "both", "larger"]
    assert contents(tmp_path) == contents(explained)


def test_a_higher_cap_trains_only_what_the_lower_one_left_out(
    explained: Path, counted: list[str], tmp_path: Path
) -> None:
    search_of(tmp_path)
    shutil.copytree(explained / "state", tmp_path / "state")
    low = run_stage(explain.main, line(tmp_path, "explain.least=300", "explain.searches=0.001"))
    assert low.status == 0 and "its cost reached the cap" in low.out and counted == []
    assert run_stage(explain.main, line(tmp_path, "explain.failing=8")).status == 0
    assert counted.count(PLAIN) == counted.count(LUCK) == counted.count(SMALLER) == 1
    counted.clear()
    assert run_stage(explain.main, line(tmp_path, "explain.fresh=true")).status == 0
    assert counted[:2] == [PLAIN, LUCK]


def test_a_seed_that_diverged_is_known_to_diverge_with_more_updates() -> None:
    begun = [
        Training(PLAIN, (7, 8), (None, None), 80, diverged=(True, False)),
        Training(SMALLER, (7, 8), (None, 3), 70),
    ]
    (known,) = spared(begun, "budget", [7, 8])
    assert (known.seeds, known.updates, known.cost) == ((7,), (None,), 0)
    assert not spared([*begun, known], "budget", [7, 8]) and not spared(begun, "both", [7, 8])
    assert not spared(begun, LUCK, [7, 8])


def test_a_horizon_beyond_the_range_has_no_verdict_and_costs_nothing(counted: list[str], tmp_path: Path) -> None:
    search_of(tmp_path, t50=estimate(None, 20.0, None, "above"))
    assert run_stage(explain.main, line(tmp_path)).status == 0
    told = json.loads((tmp_path / "results/explain" / PAIR / "explanation.json").read_text())
    assert (told["verdict"], told["cost"], told["length"]) == (None, 0, None) and "beyond" in told["reason"]
    assert (
        counted == []
        and len(contents(tmp_path)) == 5
        and not read_maps(tmp_path / "results/explain" / PAIR / "maps.parquet")
    )


def refused(ended: Ended) -> str:
    assert ended.status == 2
    return ended.err


def test_it_refuses_a_search_that_is_missing_or_of_other_settings(tmp_path: Path) -> None:
    assert "settings.json is missing; `python -m pipeline.search" in refused(run_stage(explain.main, line(tmp_path)))
    search_of(tmp_path)
    other = run_stage(explain.main, line(tmp_path, "optimizer.lr=0.5"))
    assert "a search with other settings than these" in refused(other)


@pytest.mark.parametrize(
    ("cell", "overrides", "why"),
    [
        ("lstm", (), ""),
        ("lstm", ("cell.chrono=tied",), "it begins so already"),
        ("lstm", ("cell.chrono=40",), "it begins so already"),
        ("rnn", ("cell.init=torch",), ""),
        ("rnn", ("cell.init=orthogonal",), "it begins so already"),
        ("mingru", (), "no such setting"),
    ],
)
def test_a_longer_memory_is_left_out_where_it_would_change_nothing(
    cell: str, overrides: tuple[str, ...], why: str
) -> None:
    found = left_out(compose(f"cell={cell}", *overrides), MEMORY, 40)
    assert why in found and bool(why) == bool(found)


def values(arm: str, *overrides: str) -> Mapping[str, object]:
    settings = compose("cell=lstm", *overrides)
    found = changed(settings, change(arm, settings.explain), 40)
    training = found.training
    shown = {"lr": found.parts["optimizer"]["lr"], "chrono": found.parts["cell"]["chrono"]}
    return shown | {"clip": training.clip, "updates": training.updates, "regularizer": training.regularizer}


@pytest.mark.parametrize(
    ("arm", "different"),
    [("luck", {}), ("memory", {"chrono": 40}), ("smaller", {"lr": 0.001, "clip": 0.1}), ("budget", {"updates": 2400}),
     ("both", {"lr": 0.001, "clip": 0.1, "updates": 2400}), ("larger", {"lr": 0.03})],
)  # fmt: skip
def test_an_arm_changes_what_it_says_and_nothing_else(arm: str, different: Mapping[str, object]) -> None:
    plain = values(PLAIN)
    assert plain == {"lr": 0.003, "chrono": None, "clip": 1.0, "updates": 600, "regularizer": 0.0}
    assert values(arm) == pytest.approx(plain | different)
    assert values(SMALLER, "training.clip=.inf")["clip"] == 1.0
