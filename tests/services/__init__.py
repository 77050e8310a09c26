"""Servers that a test or a benchmark has to itself. Each listens on loopback, and is gone, with its files, at the end.

    with postgres() as database, s3() as store, mlflow(database, store) as server:
        print(server.url, database.url("studies"))

They work outside pytest, too; `fixtures` has them as fixtures. Ports and passwords are drawn by chance, so that any
number of tests may have their own at once.
"""

from tests.services.cluster import Certificate, scheduler, worker
from tests.services.database import postgres
from tests.services.runs import mlflow
from tests.services.server import Server
from tests.services.store import s3

__all__ = ["Certificate", "Server", "mlflow", "postgres", "s3", "scheduler", "worker"]
