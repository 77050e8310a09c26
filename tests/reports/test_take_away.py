"""Files to take away: they say what the table says, and other programs read them."""

import csv
import io

import pytest

from pipeline.records.wording import phrase
from pipeline.reports import take_away
from pipeline.reports.comparison import Comparison, compare
from pipeline.reports.pairs import read_pairs
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def grid() -> Comparison:
    return compare(read_pairs(ROOT / "results"))


def test_the_csv_has_the_numbers_of_every_pair(grid: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(take_away.as_csv(grid))))
    assert len(rows) == len(grid.pairs)
    for row, pair in zip(rows, grid.pairs, strict=True):
        known = pair.horizon.t50
        assert (row["task"], row["cell"]) == (pair.horizon.task, pair.horizon.cell)
        for name in ("median", "lower", "upper"):
            value = getattr(known, name)
            assert row[f"t50_{name}"] == ("" if value is None else str(value))
        assert row["t50_censored"] == (known.censored or "")


def test_the_latex_has_a_row_for_every_pair_and_escapes_what_latex_reads(grid: Comparison) -> None:
    text = take_away.as_latex(grid)
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 1 + len(grid.pairs) and {line.count(" & ") for line in rows} == {3}
    assert phrase(grid.pairs[0].horizon.t50) in rows[1]
    assert "a_b & 5%".translate(take_away.ESCAPED) == r"a\_b \& 5\%"


def test_the_citation_is_that_of_the_repository() -> None:
    entry = take_away.as_bibtex()
    assert entry.startswith("@software{horizon,") and entry.count("{") == entry.count("}")
    assert "The Horizon project" in entry
