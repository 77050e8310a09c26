"""The servers as fixtures, one of each for a whole session: import those that a test uses into its module.

A test that stops or kills a server takes one of its own from `tests.services` instead.
"""

from collections.abc import Iterator

import pytest

from tests import services
from tests.services.cluster import Certificate, Scheduler
from tests.services.database import Postgres
from tests.services.runs import MLflow
from tests.services.store import S3


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with services.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with services.s3() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow(postgres: Postgres, s3: S3) -> Iterator[MLflow]:
    with services.mlflow(postgres, s3) as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.made(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def scheduler(certificate: Certificate) -> Iterator[Scheduler]:
    """A scheduler with one worker, by TLS."""
    with services.scheduler(certificate) as server, services.worker(server, certificate):
        yield server
