"""On a terminal of 80 columns: what happens is said at once, no line is wider, and only what came out stays."""

import sys
from pathlib import Path

import pytest

from tests.base.commands import paths
from tests.base.screen import frames
from tests.conftest import ROOT

WORK = """
from pipeline.base.lines import waiting
with waiting("search: loads settings and libraries …"):
    from pipeline.base.terminal import open_display
    with open_display("temporal_order_3-orthogonal_init") as shown:
        shown.doing("opens the study")
        shown.print("writes results/search/temporal_order_3-orthogonal_init")
        for trial, length in enumerate((8, 16, 24, 16), 1):
            for update in range(0, 600, 200):
                told = f"T={length}, update {update}, 3 solved"
                shown.progress(trial / 5, told, "horizon 14 to 23", "2 to 15 min left")
                shown._bar.refresh()
            cells = {"trial": f"{trial:5}", "T": f"{length:5}", "solved": " 8 of 8", "horizon": "14 to 23".rjust(15)}
            shown.row(cells | {"gone": f"{trial} s".rjust(6), "": "does it contradict?"}, "a sentence")
        shown.progress(1.0, "draws the figures", left="")
        found = {"horizon T50": "18 (14 to 23)", "foreseen": "–", "files": "results/search/temporal_order_3"}
        shown.print_summary(found)
"""
STAY = [
    "temporal_order_3-orthogonal_init",
    "  writes results/search/temporal_order_3-orthogonal_init",
    "  trial      T   solved          horizon    gone",
    "      1      8   8 of 8         14 to 23     1 s  does it contradict?",
    "      2     16   8 of 8         14 to 23     2 s  does it contradict?",
    "      3     24   8 of 8         14 to 23     3 s  does it contradict?",
    "      4     16   8 of 8         14 to 23     4 s  does it contradict?",
    "  horizon T50  18 (14 to 23)",
    "  files        results/search/temporal_order_3",
]


def test_progress_fits_80_columns_and_leaves_what_came_out_alone() -> None:
    *_, screen = frames([sys.executable, "-c", WORK], 80, ROOT, {"PYTHONPATH": str(ROOT)})
    assert screen.ever[0] == "search: loads settings and libraries …"
    assert screen.wrapped == []
    assert screen.text == STAY
    assert any("━━━━━━━━━━  40%  T=16, update 400, 3 solved" in line for line in screen.ever)


@pytest.mark.long
@pytest.mark.parametrize("command", ["search", "train", "explain"])
def test_a_real_command_fits_80_columns(command: str, tmp_path: Path) -> None:
    """An address is longer than any terminal is wide, and stays whole; so is this folder."""
    small = ["cell=rnn", "data.held_out=100", "training.updates=60", "publish=true"]
    small += [
        "task=temporal_order",
        "search.length_min=10",
        "search.trials=3",
        "training.replicas=2",
        "training.length=12",
    ]
    line = [sys.executable, "-m", f"pipeline.{command}", *small, *paths(tmp_path)]
    if command == "explain":
        for _ in frames([word.replace("pipeline.explain", "pipeline.search") for word in line], 80, ROOT, {}):
            pass
    *_, screen = frames(line, 80, ROOT, {})
    assert screen.ever[0].startswith(f"{command}: loads")
    assert [line for line in screen.wrapped if "http" not in line and str(tmp_path) not in line] == []
    assert screen.text[-1].split()[0] == "MLflow"
    assert "━" not in "".join(screen.text)
