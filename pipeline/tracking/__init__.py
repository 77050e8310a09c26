"""Shows runs in MLflow; the only room that knows it. Files are the record: nothing is read back from here.

The store is $MLFLOW_TRACKING_URI, or mlflow.db in the project (in $DVC_ROOT where DVC runs a copy). Metrics are sent in
batches. If the server does not answer, training goes on, and what is logged waits in memory, in its order, until it
does; at its end a command waits for it a while. What was not delivered is stated then, and in a tag of the run.
"""

import os

from pipeline.tracking.origin import code
from pipeline.tracking.run import Run, Scores, open_run

__all__ = ["ENVIRONMENT", "Run", "Scores", "code", "open_run"]

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # no retries by MLflow (4 minutes by default): the outbox retries
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds, for a server that takes calls and says nothing
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would show a password; we print our own
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else it reports the tables that it makes
}
"""Variables that MLflow reads as it is imported, set here and nowhere else; a user's own values stay."""

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
