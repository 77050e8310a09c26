"""Open the results in MLflow, on this machine only.

    python -m pipeline.ui
    python -m pipeline.ui tracking.port=5001

prints the addresses of the searches, writes results/report/linked.html, the report with links to the runs, and serves
MLflow on 127.0.0.1 until interrupted; `tracking.port` is the port. With MLFLOW_TRACKING_URI set, that server is used.
"""

import os
import signal
import socket
import subprocess
import sys

from pipeline.base.errors import UserError, require
from pipeline.base.lines import print_line
from pipeline.settings import Settings, stage_with

HIGHEST = 65536
HOST = "127.0.0.1"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@stage_with()
def main(settings: Settings) -> None:
    """Serve MLflow until interrupted."""
    from pipeline.reports.links import report
    from pipeline.tracking.links import links, server
    from pipeline.tracking.store import uri

    settings.require_runs()
    port, store = settings.tracking.port, uri(settings.state)
    require(is_free(port), "tracking.port", f"must be a free port, as {free_port(port)} is", port)
    for line in [f"MLflow: {server(settings.address)}", *links(settings.state, settings.address), *report(settings)]:
        print_line(line)
    if not store.startswith("http"):  # else a server runs there
        serve(store, port)


def serve(store: str, port: int) -> None:
    """Run MLflow's server on a port of this machine until interrupted."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    environment = os.environ | QUIET | {"MLFLOW_BACKEND_STORE_URI": store}  # a command line is no place for a password
    signal.signal(signal.SIGHUP, signal.default_int_handler)  # a terminal that is closed ends the server, too
    # In a group of its own Ctrl-C does not reach the server, which would get it once more from MLflow: a traceback.
    server = subprocess.Popen(command, env=environment, process_group=0)
    try:
        if status := server.wait():
            raise UserError(f"MLflow's server ended with status {status}")
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        print_line("stopped")


def free_port(taken: int) -> int:
    """Return the next port that is free."""
    return next(port for port in range(taken + 1, HIGHEST) if is_free(port))


def is_free(port: int) -> bool:
    """Return True if nothing listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


if __name__ == "__main__":
    main()
