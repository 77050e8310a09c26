"""The atlas: which pairs it holds, that killing it loses nothing, and what its table says."""

import json
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import atlas
from pipeline.base.errors import UserError
from pipeline.records.atlas import RateRecord
from pipeline.records.atlas_places import placed
from pipeline.records.horizon import read_horizon
from pipeline.records.wording import phrase
from pipeline.runs import atlas as course
from pipeline.runs.atlas_agenda import Pace, Step, group
from pipeline.runs.atlas_plan import Entry, home_of, matched, planned, rows, weights
from pipeline.runs.atlas_table import write_table
from pipeline.runs.learning_rate import choose_rate, of_rates
from pipeline.settings.places import options
from pipeline.tuning.climbing import Climb, Entrant, RaceOutcome
from tests.base.commands import paths, run, start
from tests.conftest import compose, run_stage
from tests.runs.small_atlas import small_atlas

SMALL = small_atlas("rnn", "lru")
KEPT = ("rate.json", "pair.json", "search/horizon.json", "search/trials.csv")


def plan(*words: str) -> list[Entry]:
    return planned(compose(*words))


def test_an_atlas_holds_every_cell_and_every_variant() -> None:
    settings = compose()
    found = rows(settings)
    assert found.keys() == {*options("cell"), *settings.atlas.variants}
    assert found["lstm_chrono"] == ["cell=lstm", "cell.chrono=tied"]


def test_a_command_line_can_ask_for_some_pairs_alone_and_its_words_are_the_strongest() -> None:
    (entry,) = plan("task=copy", "cell=gru", "cell.chrono=30", "training.updates=77", "atlas.seeds=1")
    assert entry.place == ("32", "copy", "gru")
    assert entry.settings.training.updates == 77 and entry.settings.cell.chrono == 30  # type: ignore[attr-defined]
    assert entry.folder.parts[-2:] == ("32", "copy-gru")
    assert not entry.settings.search.tuned and entry.settings.search.factor == 2.0
    assert [word for word in entry.settings.overrides if word.startswith("atlas.")] == []


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ((), "results/atlas"),
        (("atlas.cells=[gru,lru]", "atlas.widths=[matched]", "executor=processes"), "results/atlas"),
        (("cell=gru",), "results/try/atlas/cell=gru"),
        (("cell=gru", "publish=true"), "results/atlas"),
        (("training.updates=77",), "results/try/atlas/training.updates=77"),
        (("training.updates=77", "publish=true"), "results/atlas"),
        (("cell=gru", "atlas.seeds=1"), "results/try/atlas/atlas.seeds=1,cell=gru"),
    ],
)
def test_an_atlas_that_asks_another_question_leaves_the_published_one_alone(
    words: tuple[str, ...], folder: str
) -> None:
    assert f"results/{home_of(compose(*words))}" == folder


def test_a_task_with_other_settings_is_a_column_of_its_own() -> None:
    (entry,) = plan("atlas.tasks=[copy_ten]", "atlas.cells=[lem]", "atlas.widths=[32]")
    assert entry.place == ("32", "copy_ten", "lem") and entry.title == "copy_ten-lem"
    assert entry.settings.names["task"] == "copy" and entry.settings.task.message == 10  # type: ignore[attr-defined]
    assert "task.message=10" in course.question(entry.settings)


def test_a_pair_of_the_atlas_has_the_study_that_its_own_command_has() -> None:
    (entry,) = plan("task=copy", "cell=gru")
    rate = RateRecord("", 0.01, (0.003, 0.01), 2, (3.0, 4.0), 8, 1000)
    searched = entry.searched(rate)
    words = searched.command("search").split()[3:]
    assert compose(*words).recorded == searched.recorded
    assert searched.parts["optimizer"]["lr"] == 0.01 and rate.at_end and rate.reached == 4.0


def test_the_command_of_a_pair_is_the_same_wherever_it_was_searched() -> None:
    here, there = (
        plan("task=copy", "cell=gru", *words)[0].settings
        for words in (["cell.hidden=9"], ["cell.hidden=9", "executor=processes", "training.threads=1"])
    )
    assert course.question(here) == course.question(there)
    assert "cell.hidden=9" in course.question(here) and "executor" not in course.question(there)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("atlas.rates=[0.1,0.01]", "atlas.rates is a rising list of numbers above 0; got"),
        ("atlas.widths=[0]", "atlas.widths is a list of units, or matched; got"),
        ("atlas.cells=[nope]", "atlas.cells must be null, or a list of"),
        ("atlas.tasks=[nope]", "atlas.tasks must be of adding, adding_pascanu, copy, latch"),
        ("+atlas.task_variants.mine=['task.goal=1']", "atlas.task_variants.mine must name one task: task=NAME; got"),
        ("+atlas.variants.mine=['cell.chrono=tied']", "atlas.variants.mine must name one cell: cell=NAME; got"),
        ("+atlas.variants.mine=3", "atlas.variants.mine is a list of words of a command line; got 3"),
        ("atlas.settings=['trainig.updates=3']", "trainig.updates is not a setting; did you mean training.updates"),
    ],
)
def test_a_mistake_in_the_atlas_is_one_sentence(words: str, error: str) -> None:
    with pytest.raises(UserError) as raised:
        plan(words, *(() if "atlas.tasks" in words else ("task=copy",)))
    assert str(raised.value).startswith(error)


@pytest.mark.parametrize("cell", ["gru", "indrnn", "lru"])
def test_a_matched_width_gives_a_cell_the_weights_of_the_lstm(cell: str) -> None:
    settings, wanted = compose(f"cell={cell}"), weights(compose("cell=lstm"), 32)
    width = matched(settings)
    away = [abs(weights(settings, each) - wanted) for each in (width - 1, width, width + 1)]
    assert min(away) == away[1]
    assert matched(compose("cell=lstm")) == 32


def test_the_rate_is_that_whose_seeds_came_farthest() -> None:
    def climbed(length: int, updates: int) -> Climb:
        return Climb(Entrant({}, 0), [RaceOutcome(length, True, updates, 1.0, 0)])

    fast, slow, none = climbed(16, 50), climbed(16, 100), Climb(Entrant({}, 0))
    assert of_rates([fast, fast, slow, fast, fast, none], 2, 100) == [4.25, 4.125, 2.125]


def test_every_rate_is_tried_with_the_same_seeds_and_costs_no_more_than_allowed() -> None:
    (entry,) = plan("task=temporal_order", "cell=rnn", *SMALL[3:])
    found = choose_rate(entry.settings)
    assert found == choose_rate(entry.settings)
    assert found.rates == (0.003, 0.03) and found.cost <= 60 * 60
    assert found.octaves[found.rates.index(found.chosen)] == max(found.octaves)


def step(title: str, searches: bool, cost: float) -> Step:
    (entry,) = plan("task=copy", "cell=gru")
    return Step(replace(entry, name=title), searches, cost)


def test_the_cheapest_work_comes_first_and_many_workers_get_more_of_its_kind() -> None:
    steps = [step("a", True, 9.0), step("b", False, 5.0), step("c", True, 2.0), step("d", True, 1.0)]
    assert [each.entry.name for each in group(steps, 1)] == ["d"]
    assert [each.entry.name for each in group(steps, 2)] == ["d", "c", "a"]
    assert [each.entry.name for each in group(steps[:2], 2)] == ["b"]


def test_the_time_left_is_a_range_that_learns_from_its_errors() -> None:
    now = iter([0.0, 100.0, 100.0])
    pace, steps = Pace(1, lambda: next(now)), [step("a", True, 300.0), step("b", False, 100.0)]
    assert pace.left(steps) == ""
    pace.done(100.0)
    assert pace.left(steps) == "7 min to 22 min left"  # 100 + (300 + 300) / 2 and x 2, at a unit a second
    for real in (10.0, 20.0, 30.0, 40.0):
        pace.done(real, 20.0)
    assert pace.range() == (1.0, 1.5)


def test_a_pair_that_another_process_has_in_hand_is_left_to_it(tmp_path: Path) -> None:
    (entry,) = plan("task=copy", "cell=gru", *paths(tmp_path))
    with course.held(entry) as first, course.held(entry) as second:
        assert first and not second
    with course.held(entry) as again:
        assert again


def kept(folder: Path) -> dict[str, bytes]:
    home = folder / "results/atlas"
    files = [home / "32" / f"temporal_order-{cell}" / name for cell in ("rnn", "lru") for name in KEPT]
    return {str(path.relative_to(home)): path.read_bytes() for path in (*files, home / "horizons.md")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_stage(atlas.main, [*SMALL, *paths(folder)])
    assert done.status == 0, done.err
    return folder


@pytest.mark.slow
def test_a_killed_atlas_ends_as_an_undisturbed_one_and_does_nothing_twice(undisturbed: Path, tmp_path: Path) -> None:
    process = start("atlas", *SMALL, *paths(tmp_path))
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("results/atlas/*/*/pair.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/atlas/*/*/*.json")}
    done = run("atlas", *SMALL, *paths(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert kept(tmp_path) == kept(undisturbed)
    assert "2 of 2 horizons" in done.stdout


@pytest.mark.slow
def test_a_pair_that_fails_ends_no_other_and_is_not_written(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed, tmp_path / "copy")
    for path in (tmp_path / "copy/results/atlas/32").glob("*/pair.json"):
        path.unlink()
    monkeypatch.setattr(course, "run_together", failing(course.run_together))
    ended = run_stage(atlas.main, [*SMALL, *paths(tmp_path / "copy")])
    assert ended.status == 2
    assert ended.err == "error: 1 of 2 pairs failed: temporal_order-lru: no lru today\n"
    assert [path.parent.name for path in (tmp_path / "copy").glob("results/atlas/32/*/pair.json")] == [
        "temporal_order-rnn"
    ]


def failing(run_together):  # type: ignore[no-untyped-def]
    def run(asked, display, executor):  # type: ignore[no-untyped-def]
        failed = {name: "no lru today" for name in asked if "lru" in name}
        return failed | run_together(
            {name: each for name, each in asked.items() if name not in failed}, display, executor
        )

    return run


def test_the_table_says_which_pairs_were_not_run_and_which_cells_cannot_represent_their_task(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "results/search/adding-lstm"
    folder = tmp_path / "atlas/32/adding-lru"
    shutil.copytree(source, folder / "search")
    because = "cannot represent adding with 1 layer, because it is linear"
    horizon = json.loads((source / "horizon.json").read_text()) | {
        "cell": "lru",
        "kind": "linear",
        "cannot_represent": because,
        "signature": None,
    }
    (folder / "search/horizon.json").write_text(json.dumps(horizon))
    rate = {"made_by": "x", "chosen": 0.1, "rates": [0.01, 0.1], "seeds": 2, "octaves": [1.0, 2.0], "longest": 4}
    (folder / "rate.json").write_text(json.dumps(rate | {"cost": 10}))
    (folder / "pair.json").write_text(json.dumps({"study": "y", "command": "python"}))
    write_table(tmp_path / "atlas", [("32", "copy", "lru"), ("32", "adding", "lru")])
    text = (tmp_path / "atlas/horizons.md").read_text()
    assert f"| lru | {phrase(read_horizon(folder / 'search/horizon.json').t50)} ∗ | not run |" in text
    assert f"- lru {because}" in text and "0.1 of 2, at an end" in text
    assert text.startswith("1 of 2 pairs have been searched.")
    assert len(json.loads((tmp_path / "atlas/horizons.json").read_text())["pairs"]) == 2
    assert placed(tmp_path / "atlas", ("32", "copy", "lru")).answer == "not run"
