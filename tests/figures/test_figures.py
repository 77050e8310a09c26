"""Figures show what the records say, and have the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from pipeline.figures import style
from pipeline.figures.comparison import overview
from pipeline.figures.growth import by_budget
from pipeline.figures.search import through_time
from pipeline.figures.search_data import solved_share
from pipeline.horizon.estimate import Estimate
from pipeline.records.horizon import HorizonRecord
from pipeline.records.trials import read_trials
from pipeline.records.wording import growth_phrase
from tests.records.made import RESULTS, committed, estimate, trial, with_made_up_profiles

LABELS = {"rnn": "RNN"}


def at_sixty() -> HorizonRecord:
    return HorizonRecord(**{**vars(committed("temporal_order-rnn")), "t50": Estimate(60.0, 53.0, 71.0)})


def test_a_thin_line_shows_where_one_more_choice_lies_and_an_arrow_where_that_is_beyond_the_range() -> None:
    def drawn(again: Estimate | None) -> Axes:
        return overview([at_sixty()], LABELS, {"temporal_order-rnn": again} if again else None).axes[0]

    def spans(again: Estimate | None) -> set[tuple[float, float]]:
        lines = drawn(again).get_lines()
        return {tuple(map(float, line.get_xdata())) for line in lines if len(line.get_xdata()) == 2}

    def arrows(again: Estimate | None) -> int:
        return sum(getattr(text, "arrow_patch", None) is not None for text in drawn(again).texts)

    above = estimate(None, 512.0, None, "above")
    assert spans(None) == {(53.0, 71.0)} == spans(above)
    assert arrows(above) == 1 + arrows(None)
    assert spans(estimate(61.0, 40.0, 90.0)) == {(53.0, 71.0), (40.0, 90.0)}
    assert arrows(estimate(61.0, 40.0, 90.0)) == arrows(None)


def test_figures_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        style.save(overview([at_sixty()], LABELS), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_the_first_cells_of_a_grid_look_as_before_and_36_look_different() -> None:
    looks = [style.look(position) for position in range(36)]
    assert looks[:3] == [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "D")]
    assert len(set(looks)) == 36


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_horizon_by_budget_is_hollow_where_it_has_no_median(cell: str) -> None:
    horizon = committed(f"copy-{cell}")
    axes = by_budget([horizon], {cell: "CELL"}).axes[0]
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]
    censored = [point for point in horizon.by_budget if point.median is None]
    assert sorted(float(line.get_xdata()[0]) for line in hollow) == [point.budget for point in censored]
    (written,) = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert written in ("CELL", f"CELL: last doubling {growth_phrase(horizon)}")


def test_the_gradient_through_time_is_in_the_colour_of_its_side() -> None:
    trials = [with_made_up_profiles(trial(0, 10, 4)), with_made_up_profiles(trial(1, 20, 1))]
    axes = through_time(trials, "RNN").axes[0]
    lines = axes.get_lines()
    assert [to_hex(line.get_color()) for line in lines] == ["#0072b2"] * 2 + ["#d55e00"] * 2
    assert [line.get_linestyle() for line in lines] == ["--", "-"] * 2
    assert lines[2].get_label() == "T = 20, 1/4 solved, update 1"
    assert np.allclose(lines[2].get_ydata(), -np.log10(2)) and list(lines[2].get_xdata()) == [-1, 0]


def test_committed_horizons_follow_from_the_committed_trials() -> None:
    for folder in sorted((RESULTS / "search").iterdir()):
        horizon = committed(folder.name)
        trials = read_trials(folder / "trials.csv")
        share = solved_share(trials, horizon)
        assert len(trials) == horizon.trials and max(trial.replicas for trial in trials) == horizon.replicas
        assert share.tried.sum() == sum(trial.replicas for trial in trials)
        if not horizon.t50.censored and horizon.t50.median:
            middle = np.interp(np.log(horizon.t50.median), np.log(share.grid), share.median)
            assert 0.3 < middle < 0.7
