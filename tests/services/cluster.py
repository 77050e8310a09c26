"""A Dask cluster whose scheduler and workers are processes of their own, with or without TLS."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.server import HOST, Server, free_port, own_folder, running

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Certificate:
    """One certificate for everybody in the cluster, signed by itself: who has its key belongs to it."""

    cert: Path
    key: Path

    @classmethod
    def made(cls, folder: Path) -> "Certificate":
        """A new one."""
        folder.mkdir(exist_ok=True)
        cert, key = folder / "cert.pem", folder / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=horizon"]
        subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        return cls(cert, key)

    @property
    def options(self) -> list[str]:
        """What `dask scheduler` and `dask worker` are told."""
        return ["--tls-ca-file", str(self.cert), "--tls-cert", str(self.cert), "--tls-key", str(self.key)]

    @property
    def overrides(self) -> list[str]:
        """The settings of executor=dask."""
        return [f"executor.ca_file={self.cert}", f"executor.cert={self.cert}", f"executor.key={self.key}"]


@dataclass
class Scheduler(Server):
    """The scheduler; it keeps its address when it is started again, but its workers have ended with it."""

    scheme: str = "tcp"

    @property
    def url(self) -> str:
        """What `executor.address` is set to."""
        return f"{self.scheme}://{self.address}"


@contextmanager
def scheduler(certificate: Certificate | None = None, allowed_failures: int = 3) -> Iterator[Scheduler]:
    """A scheduler without workers; a call may see so many deaths of workers."""
    with own_folder() as folder:
        port = free_port()
        command = [*dask("scheduler", certificate), "--host", HOST, "--port", str(port), "--no-dashboard"]
        environment = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures), "PYTHONPATH": str(ROOT)}
        server = Scheduler(command, port, folder, environment, scheme="tls" if certificate else "tcp")
        with running(server):
            yield server


@contextmanager
def worker(of: Scheduler, certificate: Certificate | None = None, nanny: bool = False) -> Iterator[Server]:
    """A worker for one trial at a time, which imports this project; a nanny starts it anew where it dies."""
    with own_folder() as folder:
        port = free_port()
        command = [*dask("worker", certificate), of.url, "--host", HOST, "--nthreads", "1", "--no-dashboard"]
        command += ["--nanny", "--nanny-port"] if nanny else ["--no-nanny", "--worker-port"]
        command += [str(port), "--local-directory", str(folder)]
        server = Server(command, port, folder, {"PYTHONPATH": str(ROOT)})
        with running(server):
            yield server


def dask(name: str, certificate: Certificate | None) -> Sequence[str]:
    """The beginning of a command line."""
    return [sys.executable, "-m", "dask", name, *(certificate.options if certificate else ())]
