"""The page of the atlas: orders with probabilities, every pair with its place, files to take away, and a browser."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from pipeline.base.errors import UserError
from pipeline.figures.colors import COLORS, DARK, PALE, ink, ramp
from pipeline.reports.atlas import write_atlas
from pipeline.reports.atlas_order import DRAWS, families, farther, rank
from pipeline.reports.atlas_own import place_cell
from tests.base.browser import chromium, opened, picture
from tests.conftest import ROOT

BECAUSE = "cannot represent adding with 1 layer, because it is linear"
RATE = {"made_by": "x", "chosen": 0.1, "rates": [0.01, 0.1], "seeds": 2, "octaves": [1, 2], "longest": 4, "cost": 10}


def place(home: Path, row: str, source: str, **changed: object) -> None:
    """Put a committed search into an atlas, as another cell."""
    folder = home / "32" / f"adding-{row}"
    shutil.copytree(ROOT / "results/search" / source, folder / "search")
    horizon = json.loads((folder / "search/horizon.json").read_text()) | {"cell": row, "tuned": None} | changed
    (folder / "search/horizon.json").write_text(json.dumps(horizon))
    (folder / "rate.json").write_text(json.dumps(RATE))
    (folder / "pair.json").write_text(json.dumps({"study": "y", "command": f"python -m pipeline.search cell={row}"}))


def table(home: Path, rows: list[str]) -> None:
    pairs = [{"width": "32", "task": task, "row": row} for task in ("adding", "copy") for row in rows]
    (home / "horizons.json").write_text(json.dumps({"pairs": pairs}))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas of four cells on one task, of five cells on two."""
    folder = tmp_path_factory.mktemp("atlas")
    home = folder / "atlas"
    place(home, "rnn", "adding-rnn", kind="ungated", signature="vanishing")
    place(home, "lstm", "adding-lstm", kind="state-gated")
    place(home, "gru", "adding-gru", kind="state-gated")
    place(home, "lru", "adding-rnn", kind="linear", cannot_represent=BECAUSE, signature=None)
    table(home, ["rnn", "lstm", "gru", "lru", "s6"])
    write_atlas(home, folder, ["copy", "adding"])
    return folder


def test_the_probability_of_an_order_counts_pairs_and_draws() -> None:
    low, high = np.full(DRAWS, 4.0), np.full(DRAWS, 9.0)
    half = np.where(np.arange(DRAWS) % 2, 10.0, 5.0)
    assert farther([high], [low]).mean == 1.0 and farther([low], [high]).upper == 0.0
    found = farther([high, half], [low, half])
    assert (found.mean, found.lower, found.upper) == (0.625, 0.5, 0.75)
    order = families({"a": low, "b": high, "c": half}, {"a": "x", "b": "y"})
    assert set(order) == {("x", "y"), ("y", "x")}


def test_a_rank_is_the_likeliest_place_with_its_interval() -> None:
    own = np.full(DRAWS, 6.0)
    found = rank(own, [np.full(DRAWS, 9.0), np.full(DRAWS, 4.0), np.where(np.arange(DRAWS) % 4, 10.0, 5.0)])
    assert (found.place, found.probability, found.lower, found.upper, found.count) == (3, 0.75, 2, 3, 4)
    assert rank(own, []).place == 1


def test_colors_go_from_pale_to_dark_and_words_on_them_can_be_read() -> None:
    assert [ramp(share).upper() for share in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [PALE, PALE, COLORS[0], DARK, DARK]
    assert ink(PALE) == "#1b1f24" and ink(DARK) == "#fefefe"


def test_the_page_shows_every_pair_where_it_belongs(results: Path) -> None:
    page = (results / "atlas/index.html").read_text()
    assert "4 of 10 pairs have been searched" in page
    assert page.index(">copy</th>") < page.index(">adding</th>")
    assert page.count('class="square cannot" href="#32-adding-lru"') == 1 and BECAUSE in page
    assert page.count('class="square empty" title="not run"') == 6
    assert page.count("<article ") == 4 and 'id="32-adding-lstm"' in page
    assert "farther than" in page and "linear</th><th" not in page  # who can't represent it stands in no order


def test_the_same_files_give_the_same_bytes(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "atlas", tmp_path / "atlas")
    write_atlas(tmp_path / "atlas", results, ["copy", "adding"])
    for path in (results / "atlas").rglob("*"):
        assert path.is_dir() or path.read_bytes() == (tmp_path / path.relative_to(results)).read_bytes(), path


def test_a_pair_whose_rate_was_chosen_among_others_is_marked(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "atlas", tmp_path / "atlas")
    write_atlas(tmp_path / "atlas", results, [], [0.01, 0.1])
    assert "‡" not in (tmp_path / "atlas/index.html").read_text()
    write_atlas(tmp_path / "atlas", results, [], [0.1])
    assert (tmp_path / "atlas/index.html").read_text().count("‡</small>") == 4


def test_files_to_take_away_have_every_pair(results: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((results / "atlas/take_away/atlas.csv").read_text())))
    assert len(rows) == 10 and sum(bool(row["compute"]) for row in rows) == 4
    assert {row["task"] for row in rows if row["t50_median"] or row["t50_censored"]} == {"adding"}
    text = (results / "atlas/take_away/atlas.tex").read_text()
    assert text.count(r" \\") == 6 and r"\toprule" in text
    assert "<svg" in (results / "atlas/take_away/atlas-32.svg").read_text()


def test_a_cell_of_ones_own_is_placed_among_the_published_ones_and_changes_none(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "atlas", tmp_path / "atlas")
    before = {path: path.read_bytes() for path in (tmp_path / "atlas").rglob("*") if path.is_file()}
    home = tmp_path / "try/atlas/cell=mine"
    place(home, "mine", "adding-gru", kind="state-gated")
    (home / "horizons.json").write_text(json.dumps({"pairs": [{"width": "32", "task": "adding", "row": "mine"}]}))
    line, *pictures = place_cell(home, tmp_path, ["adding"], "mine")
    assert line.startswith("adding: horizon ") and " of 5 with probability " in line
    assert [entry.rpartition(".")[2] for entry in pictures] == ["svg", "png"]
    assert "mine" in (home / "among-32.svg").read_text() and (home / "among-32.png").stat().st_size > 10_000
    assert {path: path.read_bytes() for path in before} == before


def test_a_cell_that_answers_another_question_is_compared_with_none(results: Path, tmp_path: Path) -> None:
    home = tmp_path / "try"
    place(home, "mine", "adding-gru", goal=0.02)
    (home / "horizons.json").write_text(json.dumps({"pairs": [{"width": "32", "task": "adding", "row": "mine"}]}))
    line, *_ = place_cell(home, results, ["adding"], "mine")
    assert line.endswith("no published cell has answered the same question")


def test_a_table_that_is_something_else_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "horizons.json").write_text("[]")
    with pytest.raises(UserError, match=r"horizons.json can't be read; `python -m pipeline.atlas` makes it anew$"):
        write_atlas(tmp_path, tmp_path, [])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_without_network_or_error_and_is_filtered(
    browser: Browser, results: Path, tmp_path: Path, width: int
) -> None:
    address = (results / "atlas/index.html").as_uri()
    page, seen = opened(browser, viewport={"width": width, "height": 900})
    page.goto(f"{address}#family=state-gated")
    assert (seen.requests, seen.messages) == ([address], [])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("article:visible").count() == 2
    expect(page.locator("#count")).to_have_text("2 of 4 horizons")
    page.select_option("select[data-filter=cell]", "gru")
    assert page.url == f"{address}#family=state-gated&cell=gru"
    assert page.locator("a.square:visible").count() == 1
    with page.expect_download() as download:
        page.get_by_text("atlas-32.svg", exact=True).click()
    assert download.value.path().read_bytes() == (results / "atlas/take_away/atlas-32.svg").read_bytes()
    page.locator("a.square:visible").click()
    expect(page.locator("article:target h3")).to_have_text("adding × gru")
    page.goto(address)
    picture(page, tmp_path, f"atlas-{width}")
