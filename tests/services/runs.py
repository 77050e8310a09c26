"""An MLflow server: runs on PostgreSQL, artifacts on S3, and no key of either at its clients."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.services.database import Postgres
from tests.services.server import HOST, Server, free_port, own_folder, running
from tests.services.store import S3

DATABASE, BUCKET = "runs", "runs"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@dataclass
class MLflow(Server):
    """The server."""

    @property
    def url(self) -> str:
        """What $MLFLOW_TRACKING_URI is set to."""
        return f"http://{self.address}"


@contextmanager
def mlflow(database: Postgres, store: S3) -> Iterator[MLflow]:
    """A server whose runs are in the database `runs` and whose artifacts are in the bucket `runs`."""
    store.bucket(BUCKET)
    places = {"MLFLOW_BACKEND_STORE_URI": database.url(DATABASE), "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}"}
    with own_folder() as folder:
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
        server = MLflow(command, port, folder, QUIET | places | store.variables)
        with running(server):
            yield server
