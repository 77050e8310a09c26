"""The report with links to the runs that wrote its results."""

import re
from collections.abc import Mapping
from html import escape

from pipeline.settings import Settings
from pipeline.tracking.links import writers
from pipeline.tracking.page import page_link

RUN = re.compile(r'<a class="run" data-tag="([^"]+)" data-value="([^"]+)">')  # of report.html
LINKED = "linked.html"


def report(settings: Settings) -> list[str]:
    """Write the report with links to the runs that wrote its results, and say where; nothing where there is none."""
    page = settings.results / "report" / "index.html"
    if not page.exists():
        return []
    text = page.read_text()
    tags = {tag for tag, _ in RUN.findall(text)}
    known = {tag: writers(settings.state, settings.address, tag) for tag in tags}
    linked = page.with_name(LINKED)
    linked.write_text(with_links(text, known))
    known_here = f"report, with links to these runs: {linked.resolve().as_uri()}"
    in_mlflow = page_link(settings.state, settings.address, linked)
    return [known_here, *([f"the same, as an artifact in MLflow: {in_mlflow}"] if in_mlflow else [])]


def with_links(page: str, known: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page with an address in each place that names a known run by one of its tags."""

    def link(found: re.Match[str]) -> str:
        address = known.get(found[1], {}).get(found[2])
        return f'<a class="run" href="{escape(address)}">' if address else found[0]

    return RUN.sub(link, page)
