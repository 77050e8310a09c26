"""The page shows what the pairs say, asks for nothing outside itself, and has the same bytes each time."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline import pair, report
from pipeline.base.files import digest
from pipeline.records.horizon import read_horizon
from pipeline.records.settings import read_settings
from pipeline.records.trials import read_trials
from pipeline.records.wording import phrase
from pipeline.reports import pairs
from pipeline.reports.links import with_links
from pipeline.reports.table import columns
from tests.conftest import run_stage
from tests.reports.grid import PAIR, WORDS, stages


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one pair, as the stages write them."""
    return stages(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(results: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on that pair."""
    conf = tmp_path_factory.mktemp("conf")
    (conf / "grid.yaml").write_text("grid: {tasks: [temporal_order], cells: [rnn]}\n")
    (results / "report/published").mkdir(parents=True)
    (results / "report/published/index.html").write_text("made by another stage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CONF", conf)
        written = []
        for _ in range(2):
            for main in (pair.main, report.main):
                ended = run_stage(main, [*WORDS, f"paths.results={results}"])
                assert (ended.status, ended.err) == (0, "")
            written.append((results / "report/index.html").read_bytes())
    assert written[0] == written[1]  # the same results, the same bytes
    return written[0].decode()


def test_the_page_asks_for_nothing_outside_itself(page: str) -> None:
    own = page[: page.index("<script>")]  # the library after it is text, and the browser tests watch what it asks for
    assert not re.search(r"""(?:src|href|srcset|data|action)\s*=\s*["']?(?:https?:)?//""", own)
    assert not re.search(r"@import|url\((?!#)", own)
    assert len(page) < 4e6


def test_the_page_shows_the_evidence_and_the_settings(page: str, results: Path) -> None:
    horizon = read_horizon(results / f"search/{PAIR}/horizon.json")
    assert page.count(phrase(horizon.t50)) >= 3
    assert page.count('<svg role="img" aria-label="') == 3 + 8
    for name, value in read_settings(results / f"search/{PAIR}/settings.json").flat.items():
        assert f"<dt>{name}</dt><dd>{'null' if value is None else value}</dd>" in page
    assert digest(results / f"search/{PAIR}/trials.csv") in page
    assert digest(results / f"explain/{PAIR}/explanation.json") in page
    assert page.count("slow (4 of 4 seeds)") >= 2 and "4 × the updates" in page
    assert "python -m pipeline.search task=temporal_order cell=rnn" in page


def test_no_id_comes_twice_and_every_reference_has_its_target(page: str) -> None:
    own = page[: page.index("<script")]
    found = re.findall(r'\bid="([^"]+)"', own)
    assert len(found) == len(set(found))
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', own))
    assert wanted <= set(found)


def test_the_figures_take_the_colours_of_the_page(page: str) -> None:
    style = page[page.index("<style>") : page.index("</style>")]
    named = set(re.findall(r"var\((--\w+)\)", page[: page.index("<script")]))
    assert {"--blue", "--vermillion", "--grey"} <= named
    for name in named:
        assert style.count(f"{name}: #") == 3, name  # light, dark, print
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert not re.search(r"#(?:0072b2|d55e00|000000|ffffff)\b", drawn)


def test_what_the_charts_show_is_what_the_trials_say(page: str, results: Path) -> None:
    text = re.search(r'<script type="application/json" id="explored">(.*?)</script>', page, flags=re.DOTALL)
    assert text
    (shown,) = json.loads(text[1])["pairs"]
    trials = read_trials(results / f"search/{PAIR}/trials.csv")
    assert [point["length"] for point in shown["points"]] == [trial.length for trial in trials]
    assert [point["share"] for point in shown["points"]] == [trial.share for trial in trials]
    assert [line["trial"] for line in shown["lines"]] == [trial.ordinal + 1 for trial in trials]
    median = read_horizon(results / f"search/{PAIR}/horizon.json").t50.median
    near = min(shown["curves"], key=lambda point: abs(np.log(point["length"] / median)))
    assert 0.2 < near["median"] < 0.8


def test_every_row_of_the_table_has_a_cell_for_each_column(page: str) -> None:
    whole = re.search(r'<table id="horizons">.*?</table>', page, flags=re.DOTALL)
    assert whole
    heads, rows = whole[0].count('<th scope="col"'), re.findall(r"<tr data-task.*?</tr>", whole[0])
    assert heads == len(columns("page")) and [row.count("<td") for row in rows] == [heads]
    assert 'data-key="600">600</td>' in rows[0] and "<strong>60 (53 to 71)</strong>" in rows[0]


def test_other_pages_in_the_folder_of_the_report_stay(page: str, results: Path) -> None:
    assert (results / "report/published/index.html").read_text() == "made by another stage"
    assert 'href="published/index.html"' in page


def test_the_linked_page_names_known_runs_and_no_others(page: str, results: Path) -> None:
    written = digest(results / f"search/{PAIR}/trials.csv")
    linked = with_links(page, {"digest.trials": {written: "http://127.0.0.1:5000/#/a?b&c"}, "digest.outcome": {}})
    assert 'class="run" href="http://127.0.0.1:5000/#/a?b&amp;c"' in linked
    assert linked.count('class="run" href=') == 1
