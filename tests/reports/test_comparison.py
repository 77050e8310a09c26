"""All pairs together: the order of the cells, the luck of a choice, and the table that says so."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.base.errors import UserError
from pipeline.horizon.estimate import Estimate
from pipeline.reports.comparison import compare
from pipeline.reports.pairs import Pair
from pipeline.reports.table import (
    BEYOND,
    CANNOT,
    COLUMNS,
    DOUBTED,
    NOT_AGAIN,
    PLAIN,
    TIED,
    again_phrase,
    columns,
    table,
)
from tests.records.made import RESULTS, choice, committed, estimate, searched, tuned
from tests.reports.grid import between, pair

NAMES = sorted(folder.name for folder in (RESULTS / "search").iterdir())


def grid() -> list[Pair]:
    """The committed pairs."""
    return [pair(name) for name in NAMES]


def test_the_order_of_the_cells_follows_from_the_trials() -> None:
    found = compare(grid())
    assert set(found.rankings) == {each.horizon.task for each in found.pairs} == set(found.tasks)
    for task, ranked in found.rankings.items():
        medians = {each.horizon.cell: each.horizon.t50.best_known or 0.0 for each in found.of(task)}
        assert set(ranked.order) == set(medians)
        assert sum(ranked.best.values()) == pytest.approx(1.0, abs=1e-4)
        assert ranked.probability <= min(ranked.pairs) + 1e-9
        for (high, low), chance in zip(pairwise(ranked.order), ranked.pairs, strict=True):
            assert (chance >= 0.5) == (medians[high] >= medians[low])
    lines = table(found).splitlines()
    assert sum(" with probability " in line for line in lines) == len(found.rankings)


def test_the_table_names_pairs_that_were_chosen_at_an_end_and_no_others() -> None:
    first, *others = grid()
    assert BEYOND not in table(compare([first, *others]))
    at_end = replace(first, at_boundary={"training.clip": 0.03, "cell.forget_bias": 6.0})
    lines = table(compare([at_end, *others]))
    assert lines.rstrip().endswith(f"{BEYOND}\n\n- {first.title}: training.clip 0.03, cell.forget_bias 6")


def test_the_table_marks_a_cell_that_cannot_represent_its_task_and_says_what_followed_the_length() -> None:
    because = "cannot represent temporal order with 1 layer, because it is a toy"
    marked = table(compare([pair("temporal_order-rnn", cannot_represent=because, tied=("longest",))]))
    plain = table(compare([pair("temporal_order-rnn")]))
    assert cells(marked, 0)["horizon T50"] == cells(plain, 0)["horizon T50"] + " ∗"
    assert f"{CANNOT}\n\n- RNN {because}\n" in marked and "- temporal order × RNN: longest" in marked
    assert "∗" not in plain and TIED not in plain


def test_the_table_marks_a_horizon_whose_trials_contradict_the_model() -> None:
    doubted = table(compare([pair("temporal_order-rnn", diagnostics=("The curve rises.",))]))
    plain = table(compare([pair("temporal_order-rnn", diagnostics=())]))
    assert cells(doubted, 0)["horizon T50"] == cells(plain, 0)["horizon T50"] + " †"
    assert f"{DOUBTED}\n\n- temporal order × RNN: The curve rises.\n" in doubted and "†" not in plain


def cells(text: str, row: int) -> dict[str, str]:
    """One row of a table by the heads of its columns."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return dict(zip(lines[0], lines[2 + row], strict=True))


def test_the_table_shows_the_horizon_with_plain_settings_beside_the_tuned_one() -> None:
    compute = committed("temporal_order-rnn").compute
    plain = pair("temporal_order-rnn", tuned=None)
    known = tuned(estimate(59.4, 54.6, 72.6), cost=round(2.84 * compute))
    beside, alone = (on_the_page(each) for each in (pair("temporal_order-rnn", tuned=known), plain))
    assert (alone["with plain settings"], alone["cost of the tuning"]) == ("–", "–")
    assert (beside["with plain settings"], beside["cost of the tuning"]) == ("59 (55 to 73)", "2.84")
    assert "probability" not in table(compare([plain]))


def on_the_page(only: Pair) -> dict[str, str]:
    """The row of a grid of one pair by the heads of the page's columns."""
    grid = compare([only])
    return {column.head: column.text(grid, only) for column in columns("page")}


def test_the_markdown_file_has_the_first_columns_of_the_page() -> None:
    page, markdown = ([column.head for column in columns(where)] for where in ("page", "markdown"))
    assert page[: len(markdown)] == markdown and len(markdown) == 6
    assert len({column.head for column in COLUMNS}) == len(COLUMNS)


def chosen(name: str, own: Estimate, *others: Estimate, is_tuned: bool = True) -> Pair:
    """A pair with other choices, searched from 8 to 512."""
    found = pair(name, t50=own, tuned=tuned(own) if is_tuned else None, length_min=8, length_max=512)
    again = tuple(replace(choice(each, seed), horizon=searched(each)) for seed, each in enumerate(others, start=1))
    return replace(found, settings=between(found.settings, 8, 512), choices=again)


def test_the_table_shows_where_the_horizon_of_one_more_choice_lies() -> None:
    far = chosen("adding-lstm", estimate(103.0, 88.0, 126.0), estimate(123.0, 107.0, 148.0), estimate(64.0, 57.0, 76.0))
    once = chosen("adding-rnn", estimate(20.0, 18.0, 22.0))
    plain = chosen("adding-gru", estimate(69.0, 64.0, 80.0), is_tuned=False)
    found = compare([far, once, plain])
    text = table(found)
    shown = [cells(text, row)["with the luck of tuning"] for row in range(3)]
    assert shown == [again_phrase(found, each) for each in found.pairs] and shown[2] == "–"
    assert set(found.another) == {far.name, once.name}
    wide, alone = found.another[far.name], found.another[once.name]
    assert wide.t50.lower is not None and wide.t50.lower < 88 and wide.t50.upper is not None and wide.t50.upper > 126
    assert alone.horizon.octaves(0.9) > 0.5  # as the other pair spreads; its search knows it to .3 octaves
    assert "1 or 3 tunings of each pair" in text
    lines = text.splitlines()
    assert lines[lines.index(NOT_AGAIN) + 2] == f"- {once.title}"
    assert lines[lines.index(PLAIN) + 2] == f"- {plain.title}"


def test_without_other_choices_nothing_is_said_of_them() -> None:
    found = compare([chosen("adding-rnn", estimate(8.7, 8.0, 9.7))])
    assert found.another == {} and found.retuned == set()
    text = table(found)
    assert NOT_AGAIN not in text and cells(text, 0)["with the luck of tuning"] == "–"
    assert found.to_json()["chosen_again"] == []


def test_the_order_of_the_cells_counts_the_luck_of_the_choice() -> None:
    """Searches say that they are an octave apart; choices spread by as much."""
    other = chosen("adding-gru", estimate(40.0, 36.0, 44.0), estimate(20.0, 18.0, 22.0), estimate(80.0, 72.0, 88.0))
    low = chosen("adding-rnn", estimate(30.0, 27.0, 33.0), estimate(31.0, 28.0, 34.0), estimate(60.0, 54.0, 66.0))
    high = chosen("adding-lstm", estimate(60.0, 54.0, 66.0), estimate(30.0, 27.0, 33.0), estimate(61.0, 55.0, 67.0))
    found = compare([low, high, other])
    ranked = found.rankings["adding"]
    assert ranked.probability < 0.6 and ranked.order[0] in ("lstm", "gru")
    told = found.to_json()["chosen_again"]
    assert [(each["task"], each["cell"], len(each["choices"])) for each in told] == [
        ("adding", cell, 2) for cell in ("rnn", "lstm", "gru")
    ]
    assert all(each["spread_octaves"]["median"] > 0.2 for each in told)


@pytest.mark.parametrize(
    ("name", "value", "usual"),
    [
        ("search.length_max", 256, committed("adding-rnn").length_max),
        ("training.updates", 100, 600),
        ("task.goal", 0.05, 0.01),
        ("cell.hidden", 64, 32),
        ("training.batch", 8, 32),
        ("data.held_out", 50, 1000),
    ],
)
def test_cells_that_were_searched_with_other_settings_are_named_with_their_values(
    name: str, value: float, usual: float
) -> None:
    first, other = pair("adding-rnn"), pair("adding-gru")
    fields = {"search.length_max": "length_max", "training.updates": "budget", "task.goal": "goal"}
    if name in fields:
        other = replace(other, horizon=replace(other.horizon, **{fields[name]: value}))
    else:
        section, _, key = name.partition(".")
        changed = {section: {**getattr(other.settings, section), key: value}}
        other = replace(other, settings=replace(other.settings, **changed))
    with pytest.raises(UserError) as refusal:
        compare([first, other])
    assert str(refusal.value) == (
        f"the cells of adding can't be compared, for they were searched with other settings ({name}: adding-rnn "
        f"{usual}, adding-gru {value}); `dvc repro -f search@TASK-CELL` makes one anew with those of conf/"
    )


@pytest.mark.release
def test_what_the_page_says_of_choosing_again_is_in_its_files() -> None:
    """The committed choices are of the committed settings, and the committed report counts them."""
    told = json.loads((RESULTS / "report/horizons.json").read_text())
    for each in told["chosen_again"]:
        name = f"{each['task']}-{each['cell']}"
        file = json.loads((RESULTS / "retune" / name / "retune.json").read_text())
        known = committed(name).tuned
        assert known and file["first_study"] == known.study and file["choices"] == each["choices"]
    is_tuned = {(each["task"], each["cell"]) for each in told["horizons"] if each["tuned"]}
    assert {(each["task"], each["cell"]) for each in told["chosen_again"]} == is_tuned
