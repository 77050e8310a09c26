"""Open the results in MLflow, on this machine only.

    python -m pipeline.ui

starts the server on 127.0.0.1 and prints the addresses of the searches; `tracking.port` is the port.
"""

import os
import socket
import subprocess
import sys

from pipeline import tracking
from pipeline.errors import require
from pipeline.settings import Settings, stage

HOST = "127.0.0.1"


@stage
def main(settings: Settings) -> None:
    """Serve MLflow until interrupted."""
    port = settings.tracking.port
    require(is_free(port), "tracking.port", "must be a free port", port)
    store = tracking.uri(settings.state)
    for line in tracking.links(settings.state, store if store.startswith("http") else f"http://{HOST}:{port}"):
        print(line, flush=True)
    if store.startswith("http"):
        return  # a server runs there
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store]
    try:
        subprocess.run(command, env=os.environ | quiet, check=True)
    except KeyboardInterrupt:
        print("stopped")


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


if __name__ == "__main__":
    main()
