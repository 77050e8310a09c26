"""What a person sees: the report, and the results of a search in MLflow, in headless Chromium."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline import explain, pair, report, search, train
from pipeline.reports.links import report as linked_report
from pipeline.runs.search import WROTE
from pipeline.settings import compose
from pipeline.tracking.links import links as tracked
from pipeline.tracking.links import writers
from pipeline.tracking.store import uri
from pipeline.ui import HOST, QUIET
from tests.base.browser import chromium, opened, picture
from tests.base.commands import COLD, ROOT
from tests.conftest import run_stage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SMALL = (
    "task=temporal_order cell=gru cell.hidden=12 data.held_out=100 optimizer.lr=0.01 training.updates=60 "
    "training.probe_every=20 training.length=12 training.replicas=2 training.threads=1 search.length_max=40 "
    "search.replicas=2 search.trials=3 explain.group=2 explain.round=2 explain.failing=2"
)
PATIENCE = 45_000  # milliseconds
LOOKS: dict[str, dict[str, object]] = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders in which a small search and a small training have run, and were reported as a grid of one pair."""
    folder = tmp_path_factory.mktemp("seen")
    paths = " ".join(f"paths.{name}={folder / name}" for name in ("data", "results", "state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr("pipeline.reports.pairs.CONF", folder)
        (folder / "grid.yaml").write_text("grid: {tasks: [temporal_order], cells: [gru]}\n")
        for main in (search.main, train.main, explain.main, pair.main, report.main):
            ended = run_stage(main, f"{SMALL} {paths}")
            assert ended.status == 0, ended.err
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[str]:
    """MLflow over that search, as `make ui` starts it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    settings = compose(f"paths.state={place / 'state'}")
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri(settings.state)]
    log = (place / "server.log").open("w")
    process = subprocess.Popen(command, env=COLD | QUIET, cwd=place, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://{HOST}:{port}/health", process)
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            with urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server did not start")


SEARCH = re.compile(r"^gru · T50 ")  # a search is named by its answer


def shown(browser: Browser, address: str, text: re.Pattern[str]) -> Page:
    """An address of MLflow's UI, once a text is there."""
    page, _ = opened(browser, viewport={"width": 1500, "height": 1100})
    page.goto(address)
    expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE)
    return page


@pytest.mark.parametrize("look", LOOKS)
def test_the_committed_report_opens_without_network_or_error(browser: Browser, tmp_path: Path, look: str) -> None:
    file = ROOT / "results/report/index.html"
    page, seen = opened(browser, **LOOKS[look])
    page.goto(file.as_uri())
    page.wait_for_selector("#explore[data-ready=true]", timeout=PATIENCE)
    assert (seen.requests, seen.messages) == ([file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing hangs out at the side
    assert page.locator("#shares svg path").count() > 10
    picture(page, tmp_path, f"report-{look}")


def test_the_table_of_the_report_can_be_sorted_and_filtered(browser: Browser) -> None:
    page, _ = opened(browser)
    page.goto((ROOT / "results/report/index.html").as_uri())
    rows = page.locator("#horizons tbody tr:visible")
    before = rows.count()
    head = page.locator("#horizons thead th").nth(2)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    keys = [float(cell.get_attribute("data-key") or "nan") for cell in rows.locator("td:nth-child(3)").all()]
    assert keys == sorted(keys) and len(set(keys)) > 1
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    page.select_option("select[data-filter=cell]", "gru")
    assert 0 < rows.count() < before
    expect(page.locator("#count")).to_have_text(f"{rows.count()} of {before} rows")


def test_a_view_of_the_table_can_be_sent_and_every_column_shown(browser: Browser) -> None:
    page, _ = opened(browser)
    address = (ROOT / "results/report/index.html").as_uri()
    page.goto(f"{address}#task=copy")
    rows = page.locator("#horizons tbody tr:visible")
    assert {row.get_attribute("data-task") for row in rows.all()} == {"copy"}
    page.select_option("select[data-filter=cell]", "lstm")
    assert page.url == f"{address}#task=copy&cell=lstm" and rows.count() == 1
    heads = page.locator("#horizons thead th:visible")
    brief = heads.count()
    page.check("#whole")
    assert brief == 6 < heads.count()


def test_tables_and_figures_can_be_taken_away(browser: Browser) -> None:
    page, _ = opened(browser)
    page.goto((ROOT / "results/report/index.html").as_uri())
    for name in ("horizons.csv", "horizons.tex", "citation.bib"):
        with page.expect_download() as download:
            page.get_by_text(name, exact=True).click()
        assert download.value.path().read_bytes() == (ROOT / "results/report/take_away" / name).read_bytes()
    with page.expect_download() as download:
        page.locator("#overview figure a", has_text="SVG").click()
    drawn = download.value.path().read_text()
    assert drawn.startswith("<svg") and "var(" not in drawn


def test_what_is_folded_is_printed_where_it_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    page, _ = opened(browser)
    page.goto((ROOT / "results/report/index.html").as_uri())
    folded = page.locator("article details:not([open])")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() > 0
    page.check("#appendix")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    page.emulate_media(media="print")
    expect(page.locator("#explore")).to_be_hidden()
    assert len(page.pdf(format="A4")) > 50_000
    picture(page, tmp_path, "report-print")


def test_mlflow_shows_the_search_and_its_trials_and_charts(browser: Browser, server: str, place: Path) -> None:
    (overall,) = [line for line in tracked(place / "state", server) if line.startswith("temporal_order: ")]
    page = shown(
        browser, overall.split(": ", 1)[1].replace("viewStateShareKey=horizons", "compareRunsMode=CHART"), SEARCH
    )
    for group in ("gradient", "score", "search"):
        charts = page.locator("[aria-expanded]", has_text=re.compile(rf"{group}\s*\(\d+\)"))
        expect(charts.first).to_be_attached(timeout=PATIENCE)
    page.locator(".ag-row", has_text="gru · T50").locator("button").first.click()  # unfolds it
    expect(page.get_by_text(re.compile(r"^T=10 · \d/2 solved$")).first).to_be_visible(timeout=PATIENCE)
    picture(page, place, "mlflow-runs")


def test_the_printed_address_opens_the_saved_view_of_horizons(browser: Browser, server: str, place: Path) -> None:
    (overall,) = [line for line in tracked(place / "state", server) if line.startswith("temporal_order: ")]
    page = shown(browser, overall.split(": ", 1)[1], SEARCH)
    expect(page.get_by_role("button", name="Horizons")).to_be_visible(timeout=PATIENCE)
    assert page.locator(".ag-header-cell", has_text="horizon").count() >= 1
    assert page.locator(".ag-row", has_text="T=10").count() == 0  # trials are another view
    picture(page, place, "mlflow-horizons")


def test_mlflow_shows_the_question_the_answer_and_the_picture(browser: Browser, server: str, place: Path) -> None:
    links = writers(place / "state", server, WROTE)
    ((_, address),) = links.items()
    page = shown(browser, address, SEARCH)
    expect(page.get_by_text("stop learning").first).to_be_visible(timeout=PATIENCE)
    picture(page, place, "mlflow-run")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("horizon.svg").first.click()
    drawn = page.locator("img[src^='blob:'], img[src*='horizon.svg'], img[src^='data:']").first
    expect(drawn).to_be_visible(timeout=PATIENCE)
    assert drawn.evaluate("image => image.naturalWidth") > 100
    picture(page, place, "mlflow-artifact")


def test_the_linked_report_leads_to_the_runs_that_wrote_it(browser: Browser, server: str, place: Path) -> None:
    port = server.rpartition(":")[2]
    paths = [f"paths.{name}={place / name}" for name in ("data", "results", "state")]
    line = linked_report(compose(*paths, f"tracking.port={port}"))[0]
    page, seen = opened(browser)
    page.goto(line.rpartition(": ")[2])
    page.locator("summary", has_text="All settings").click()
    links = page.locator("a.run")
    assert links.count() == 3 and all(link.get_attribute("href") for link in links.all())
    links.first.click()
    expect(page.get_by_text(SEARCH).first).to_be_visible(timeout=PATIENCE)
    assert {re.split("[/:]", url)[0] for url in seen.requests} <= {"file", "http", "data", "blob"}
