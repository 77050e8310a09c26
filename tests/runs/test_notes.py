"""What a reviewer reads first: each note says what was asked, what came out, and how to repeat it."""

from dataclasses import replace

import pytest
from jinja2 import UndefinedError

from pipeline.horizon.estimate import Estimate
from pipeline.records.choices import ChoicesRecord
from pipeline.records.horizon import read_horizon
from pipeline.runs.notes import note
from pipeline.tuning.record import MeasuredCurve, Place, TuningRecord
from tests.records import made

VALUES = {"command": "python -m pipeline.search", "data": "data/adding", "code": "commit `1`", "reason": "it was so"}


def test_the_note_of_a_search_has_the_answer_and_a_line_for_each_warning() -> None:
    found = read_horizon(made.RESULTS / "search/adding-gru/horizon.json")
    found = replace(found, t50=Estimate(58.4, 46.2, 71.0), diagnostics=("one thing", "another"))
    lines = note("search", found=found, **VALUES).splitlines()
    assert lines[0] == "### At which length does **gru** stop learning **adding**?"
    assert lines[2].startswith("**Horizon T50: 58 (46 to 71)** (90% credible interval); T90: ")
    assert sum(line.startswith("- The search ended because it was so.") for line in lines) == 1
    assert [line for line in lines if line.startswith("- Warning")] == ["- Warning: one thing", "- Warning: another"]
    assert lines[-4:] == ["", "```bash", "python -m pipeline.search", "```"][-4:]
    quiet = note("search", found=replace(found, diagnostics=()), **VALUES).splitlines()
    assert quiet == [line for line in lines if not line.startswith("- Warning")]


def tuning(importance: dict[str, float]) -> TuningRecord:
    best = Place({"optimizer.lr": 0.01}, False, (20,), (4,), 4, 100, None, 5.0)
    plain = replace(best, values={"optimizer.lr": 0.003}, plain=True, octaves=4.0)
    return TuningRecord(
        task="adding",
        cell="rnn",
        study="tune-a-1",
        seed=0,
        settings=16,
        generations=2,
        cost=300,
        searches=1.234,
        budget=600,
        chosen=best.values,
        changed=True,
        order=(best, plain),
        importance=importance,
        curve=MeasuredCurve(20, 4, (0.01,), (4,), 100),
        plain=made.searched(Estimate(16.0, 14.0, 18.0)),
        plain_settings=plain.values,
    )


@pytest.mark.parametrize(
    ("importance", "words"),
    [({}, "not known"), ({"optimizer.lr": 1.0}, "optimizer.lr 100%"), ({"a": 0.75, "b": 0.25}, "a 75%, b 25%")],
)
def test_the_note_of_a_tuning_has_the_choice_its_rivals_and_its_cost(importance: dict[str, float], words: str) -> None:
    text = note("tune", found=tuning(importance))
    assert text.splitlines() == [
        "Which settings does **rnn** need on **adding**?",
        "",
        "**optimizer.lr=0.01**",
        "",
        "- 16 settings climbed the lengths in 2 generations, then the best met the plain ones on fresh seeds; "
        "in octaves, log2 steps: 5.00.",
        "- Cost: 1.2 searches of this pair with the plain settings.",
        f"- Importance (PED-ANOVA): {words}.",
        "- Horizon with the plain settings: 16 (14 to 18).",
        "1. optimizer.lr=0.01: about 32 steps",
        "2. plain settings: about 16 steps",
        "- Reproduce: `python -m pipeline.tune task=adding cell=rnn` with the settings under Parameters.",
    ]


def test_the_note_of_a_retuning_has_a_row_for_each_choice() -> None:
    choices = (made.choice(Estimate(16.0, 14.0, 18.0)), made.choice(Estimate(None, 512.0, None, "above"), seed=2))
    lines = note("retune", found=ChoicesRecord("adding", "rnn", "tune-a-1", "0123", choices)).splitlines()
    assert lines[2:6] == [
        "| seed | T50 | cost, searches | settings |",
        "|---|---|---|---|",
        "| 1 | 16 (14 to 18) | 1.5 | cell.init=torch |",
        "| 2 | above 512 | 1.5 | cell.init=torch |",
    ]


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        note("tune", found=None)
