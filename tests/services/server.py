"""One server: a process that listens on a port of loopback, which can be stopped, killed and started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE = 60  # seconds for a server to answer, or to end
PORTS = range(10_000, 30_000)  # below those that the system gives to clients, so that one is still free after a restart


@dataclass
class Server:
    """A server that was described, and is started by `start`."""

    command: Sequence[str]
    port: int
    folder: Path  # of its own, for whatever it writes
    environment: Mapping[str, str] = field(default_factory=dict)  # beside that of this process
    user: str | None = None  # that it runs as; None: the same
    stopping: signal.Signals = signal.SIGTERM  # asks it to end well
    killing: signal.Signals = signal.SIGKILL  # ends it at once
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> str:
        """All that it has said."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it, and return when it answers; raise `RuntimeError` with what it said where it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=surroundings() | self.environment,
                user=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"{' '.join(self.command)} does not answer on {self.address}:\n{self.log}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it is ready for clients."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def stop(self) -> None:
        """End it well; nothing where it does not run."""
        self.end(self.stopping)

    def kill(self) -> None:
        """End it at once, as a failure of its machine would; nothing where it does not run."""
        self.end(self.killing)

    def restart(self) -> None:
        """Kill it, and start it again at the same address, with the files that it left."""
        self.kill()
        self.start()

    def end(self, how: signal.Signals) -> None:
        """Send a signal, wait, and see that none of its children is left."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


@contextmanager
def running(server: Server) -> Iterator[None]:
    """Start a server, and end it after the block."""
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextmanager
def own_folder(user: str | None = None) -> Iterator[Path]:
    """A folder that a user owns, and that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="horizon-") as name:
        if user is not None:
            shutil.chown(name, user)
        yield Path(name)


def free_port() -> int:
    """A port that nothing listens on, by chance, so that two processes hardly ever choose the same."""
    draw = random.SystemRandom()
    while True:
        port = draw.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def surroundings() -> dict[str, str]:
    """The environment of this process, with its commands first and nobody's stores."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "DASK_", "DVC_", "MLFLOW_", "OPTUNA_", "PG"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
