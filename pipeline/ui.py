"""Open the results in MLflow, on this machine only.

    python -m pipeline.ui
    python -m pipeline.ui tracking.port=5001

prints the addresses of the searches, writes results/report/linked.html, the report with links to the runs, and serves
MLflow on 127.0.0.1 until interrupted; `tracking.port` is the port. With MLFLOW_TRACKING_URI set, that server is used.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path

from pipeline import tracking
from pipeline.base.errors import require
from pipeline.settings import Settings, stage

HOST = "127.0.0.1"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
RUN = re.compile(r'<a class="run" data-tag="([^"]+)" data-value="([^"]+)">')  # of report.html
LINKED = "linked.html"


@stage
def main(settings: Settings) -> None:
    """Serve MLflow until interrupted."""
    port, store = settings.tracking.port, tracking.uri(settings.state)
    require(is_free(port), "tracking.port", "must be a free port", port)
    for line in [*tracking.links(settings.state, settings.address), *report(settings)]:
        print(line, flush=True)
    if store.startswith("http"):
        return  # a server runs there
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    environment = os.environ | QUIET | {"MLFLOW_BACKEND_STORE_URI": store}  # a command line is no place for a password
    try:
        subprocess.run(command, env=environment, check=True)
    except KeyboardInterrupt:
        print("stopped")


def report(settings: Settings) -> list[str]:
    """Write the report with links to the runs that wrote its results, and say where; nothing where there is none."""
    page = settings.results / "report" / "index.html"
    if not page.exists():
        return []
    text = page.read_text()
    tags = {tag for tag, _ in RUN.findall(text)}
    known = {tag: tracking.wrote(settings.state, settings.address, tag) for tag in tags}
    linked = page.with_name(LINKED)
    linked.write_text(with_links(text, known))
    return [f"report, with links to these runs: {Path(linked).resolve().as_uri()}"]


def with_links(page: str, known: Mapping[str, Mapping[str, str]]) -> str:
    """The page with an address in each place that names a known run by one of its tags."""

    def link(found: re.Match[str]) -> str:
        address = known.get(found[1], {}).get(found[2])
        return f'<a class="run" href="{escape(address)}">' if address else found[0]

    return RUN.sub(link, page)


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


if __name__ == "__main__":
    main()
