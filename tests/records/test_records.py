"""Files of the stages: read once, checked as they are read, and written back as they were."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.base.errors import UserError
from pipeline.base.trees import as_json
from pipeline.horizon.estimate import Estimate
from pipeline.records.choices import ChoicesRecord
from pipeline.records.gradients import contrast, with_profiles, write_profiles
from pipeline.records.horizon import HorizonRecord, read_horizon
from pipeline.records.outcome import OutcomeRecord
from pipeline.records.reading import read_json
from pipeline.records.settings import SettingsRecord, read_settings
from pipeline.records.training import read_curves, read_norms, write_curves
from pipeline.records.trials import read_trials, write_trials
from pipeline.study.record import TrialRecord
from tests.records.made import RESULTS, committed, estimate, profile, trial, with_made_up_profiles

PAIR = "temporal_order-rnn"
KINDS = {"horizon.json": HorizonRecord, "settings.json": SettingsRecord, "retune.json": ChoicesRecord}
TRIALS = tuple(with_made_up_profiles(trial(place, length, 2)) for place, length in enumerate((8, 16, 12)))


@pytest.mark.parametrize("name", KINDS)
def test_every_committed_record_is_written_back_as_it_was(name: str) -> None:
    paths = sorted(RESULTS.glob(f"*/*/{name}")) + sorted(RESULTS.glob(f"experiment/*/*/{name}"))
    assert len(paths) >= 9
    for path in paths:
        written, there = as_json(read_json(path, KINDS[name])), json.loads(path.read_text())
        assert {key: written[key] for key in there} == there, path  # a file may be older than a field


def test_every_committed_outcome_is_written_back_as_it_was() -> None:
    for path in sorted(RESULTS.glob("**/outcome.json")):
        found = as_json(read_json(path, OutcomeRecord))
        was = json.loads(path.read_text())
        if "signature" in was:  # those of before have less
            assert json.dumps(found, indent=2) + "\n" == path.read_text(), path
        else:
            assert found.items() >= {key: was[key] for key in was if key != "replicas"}.items()


def test_committed_trials_are_written_back_as_they_were(tmp_path: Path) -> None:
    for path in sorted(RESULTS.glob("search/*/trials.csv")):
        trials = read_trials(path)
        write_trials(tmp_path / "trials.csv", trials)
        assert (tmp_path / "trials.csv").read_bytes() == path.read_bytes()
        horizon = committed(path.parent.name)
        assert (len(trials), sum(each.cost for each in trials)) == (horizon.trials, horizon.compute)


HORIZON = json.loads((RESULTS / "search" / PAIR / "horizon.json").read_text())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"t50": None}, "t50"),
        ({"t50": HORIZON["t50"] | {"median": "60"}}, "t50.median"),
        ({"t50": HORIZON["t50"] | {"median": True}}, "t50.median"),
        ({"t50": HORIZON["t50"] | {"median": -3.0}}, "not a length"),
        ({"t50": HORIZON["t50"] | {"median": 500.0}}, "do not rise"),
        ({"t50": HORIZON["t50"] | {"censored": "maybe"}}, "t50.censored"),
        ({"t50": HORIZON["t50"] | {"censored": "above", "lower": None}}, "limit"),
        ({"by_budget": [1]}, "by_budget"),
        ({"by_budget": [*HORIZON["by_budget"][:1], {"median": 1.0}]}, "by_budget.1.lower"),
        ({"loose": {"goal": 0.1}}, "loose.t50"),
        ({"compute": 1.5}, "compute"),
        ({"cell": 3}, "cell"),
        ({"diagnostics": "none"}, "diagnostics"),
        ({"tuned": HORIZON["tuned"] | {"plain": {"median": 20.0}}}, "tuned.plain"),
        ({"tuned": HORIZON["tuned"] | {"curve": HORIZON["tuned"]["curve"] | {"solved": [1]}}}, "one count"),
    ],
)
def test_what_is_wrong_with_a_horizon_is_one_sentence(tmp_path: Path, change: dict[str, object], why: str) -> None:
    path = tmp_path / "horizon.json"
    path.write_text(json.dumps(HORIZON | change))
    with pytest.raises(UserError) as refusal:
        read_horizon(path, "`make it`")
    assert str(refusal.value).startswith(f"{path} can't be read (") and why in str(refusal.value)
    assert str(refusal.value).endswith("; `make it` makes it anew") and "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"task": "adding"}', '"horizon"', "null", "[" * 100_000, "NaN"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "horizon.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"horizon\.json can't be read \(.*\); `dvc repro` makes it anew"):
        read_horizon(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "horizon.json"
    path.write_text(json.dumps(HORIZON | {"slope": "SLOPE"}).replace('"SLOPE"', value))
    with pytest.raises(UserError, match="is not a number"):
        read_horizon(path)


def test_a_missing_file_is_named_with_what_makes_it(tmp_path: Path) -> None:
    for read, name in (
        (read_horizon, "a.json"),
        (read_trials, "a.csv"),
        (read_curves, "b.csv"),
        (read_norms, "a.parquet"),
    ):
        with pytest.raises(UserError) as refusal:
            read(tmp_path / name, "`it` (two minutes)")
        assert str(refusal.value) == f"{tmp_path / name} is missing; `it` (two minutes) makes it"


def test_options_of_a_search_are_checked_as_they_are_read(tmp_path: Path) -> None:
    content = json.loads((RESULTS / "search" / PAIR / "settings.json").read_text())
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(content | {"search": content["search"] | {"level": 2.0}}))
    with pytest.raises(UserError, match=r"search\.level is a probability"):
        read_settings(path)
    path.write_text(json.dumps(content | {"search": content["search"] | {"futility": False}}))  # an option of the past
    assert read_settings(path).options.level == 0.9


def test_settings_ask_for_the_horizon_that_they_gave_and_no_other() -> None:
    settings = read_settings(RESULTS / "search" / PAIR / "settings.json")
    horizon = committed(PAIR)
    assert settings.asks(horizon)
    for name, value in {
        "budget": 7,
        "goal": 0.5,
        "length_max": 99,
        "length_min": 3,
        "replicas": 3,
        "level": 0.5,
    }.items():
        assert not settings.asks(HorizonRecord(**{**vars(horizon), name: value})), name


def damaged(text: str) -> dict[str, str]:
    """A file of trials with one thing wrong each time."""
    head, first, second, *_ = text.splitlines(keepends=True)
    return {
        "no rows": head,
        "a row is missing": head + second,
        "a row is cut": text[:-20],
        "a cell too many": text.rstrip("\n") + ",1\n",
        "solved more than there are": head + first.replace(",2,", ",9,", 1),
        "a replica without updates": head + first.replace("[100, 100, null, null]", "[100, 100, null]"),
        "solved is no number": head + first.replace(",2,", ",two,", 1),
        "a figure is no number": head + first.replace("0.9", "high"),
        "a figure is nan": head + first.replace("0.9", "nan"),
        "no column of its name": text.replace("updates,", "times,", 1),
    }


def test_damaged_trials_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    write_trials(path, [trial(0, 8, 2), trial(1, 16, 2)])
    text = path.read_text()
    assert len(read_trials(path)) == 2
    for damage, content in damaged(text).items():
        assert content != text, damage
        path.write_text(content)
        with pytest.raises(UserError) as refusal:
            read_trials(path)
        assert str(refusal.value).startswith(f"{path} ") and "\n" not in str(refusal.value), damage


def test_profiles_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "gradients.parquet"
    write_profiles(path, TRIALS)
    bare = [trial(each.ordinal, each.length, 2) for each in TRIALS]
    assert with_profiles(path, bare) == TRIALS
    for others in (bare[:2], [bare[0], bare[1], trial(2, 13, 2)]):
        with pytest.raises(UserError, match=r"of other trials than trials\.csv"):
            with_profiles(path, others)


def test_damaged_profiles_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "gradients.parquet"
    write_profiles(path, TRIALS)
    table, bare = parquet.read_table(path), [trial(each.ordinal, each.length, 2) for each in TRIALS]
    norms = table.column_names.index("log2_norm_median")
    for damage in (
        table.drop(["step"]),
        table.slice(0, 5),
        table.set_column(norms, "log2_norm_median", pyarrow.array(["high"] * table.num_rows)),
        table.set_column(norms, "log2_norm_median", pyarrow.array([float("nan")] * table.num_rows)),
    ):
        parquet.write_table(damage, path)
        with pytest.raises(UserError, match=r"gradients\.parquet .*`dvc repro` makes it anew"):
            with_profiles(path, bare)


def test_the_gradient_is_shown_on_both_sides_of_the_horizon() -> None:
    trials = [trial(0, 10, 4), trial(1, 20, 4), trial(2, 80, 0), trial(3, 40, 1), trial(4, 30, 2)]
    assert [each.ordinal for each in contrast(trials, estimate(33.0, 25.0, 40.0))] == [4, 3]


def test_a_horizon_above_the_range_has_no_unsolved_side() -> None:
    trials: list[TrialRecord] = [trial(0, 10, 4), trial(1, 20, 4)]
    assert [each.length for each in contrast(trials, Estimate(None, 20.0, None, "above"))] == [20]


def test_curves_of_a_training_are_read_back_with_one_row_an_update(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    write_curves(
        path, [{"update": 1.0, "loss": 0.1}, {"update": 50.0, "loss": 0.3}, {"update": 50.0, "score/held_out": 1 / 3}]
    )
    assert path.read_text().splitlines()[0] == "update,loss,score/held_out"
    assert read_curves(path) == [{"update": 1.0, "loss": 0.1}, {"update": 50.0, "loss": 0.3, "score/held_out": 1 / 3}]
    for content in ("", "update,loss\n1,x\n", "a,b\n1,2\n", "update,loss\n1,2\n", "update,score/held_out\n1,2,3\n"):
        path.write_text(content)
        with pytest.raises(UserError, match=r"curves\.csv"):
            read_curves(path)


def test_a_profile_has_one_value_a_step() -> None:
    with pytest.raises(ValueError, match="one value a step"):
        type(profile(1, 0.0))(1, (1, 2), (0.0,), (0.0, 0.0), (0.0, 0.0))
