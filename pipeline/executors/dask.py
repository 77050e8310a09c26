"""Workers of a Dask cluster: one that this process starts on its machine, or one that runs somewhere already."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pipeline.base.errors import UserError, require

SCHEMES = ("tcp", "tls", "ws", "wss")
CONNECT = 20.0  # seconds for the first answer of a scheduler


@dataclass
class Dask(Executor):
    """Runs calls on Dask workers; a worker that dies has its calls run again by another one.

    Without an address it starts a scheduler and `workers` processes on this machine, which listen on loopback only.
    """

    remote: ClassVar[bool] = True

    address: str | None  # of a scheduler
    workers: int  # calls at once; without an address also the number of processes
    threads: int  # of each process, for calls at once in it
    memory: str  # of each process, after which it is started anew
    allowed_failures: int  # deaths of workers that one call may see
    patience: float  # seconds that a scheduler may be away
    ca_file: str | None  # certificates of a tls:// address
    cert: str | None
    key: str | None
    _cluster: Any = field(default=None, init=False, repr=False)
    _client: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        for name in ("workers", "threads"):
            require(getattr(self, name) >= 1, f"executor.{name}", "must be at least 1", getattr(self, name))
        failures = self.allowed_failures
        require(failures >= 0, "executor.allowed_failures", "must be at least 0", failures)
        require(self.patience >= 0, "executor.patience", "must be at least 0 seconds", self.patience)
        if not re.fullmatch(r"\d+(\.\d+)? ?[kKMGT]i?B", self.memory):
            raise UserError(f"executor.memory must be a size like 4 GiB; got {self.memory!r}")
        if self.address is not None:
            scheme = urlsplit(self.address).scheme
            rule = f"must be null or begin with {', '.join(f'{each}://' for each in SCHEMES)}"
            require(scheme in SCHEMES, "executor.address", rule, self.address)

    def __enter__(self) -> "Dask":
        """Connect; raise `UserError` where nothing answers."""
        dask, distributed = _library()
        dask.config.set({"distributed.scheduler.allowed-failures": self.allowed_failures})
        if self.address is None:
            self._cluster = distributed.LocalCluster(
                n_workers=self.workers,
                threads_per_worker=self.threads,
                memory_limit=self.memory,
                dashboard_address="127.0.0.1:0",  # any free port: 8787 may be another cluster's
                silence_logs=40,  # errors only
            )
        self._client = self._connected(CONNECT)
        return self

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call with picklable arguments on some worker. The future is cancelled where the scheduler forgot it."""
        if self._client is None:
            raise RuntimeError("an executor is used inside `with`")
        if self._client.status == "closed":
            self._client = self._connected(self.patience)
        future: Future[Any] = self._client.get_executor(pure=False).submit(call, *args, **kwargs)
        return future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster; end it where this process started it."""
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._client = self._cluster = None

    def _connected(self, patience: float) -> Any:
        _, distributed = _library()
        until = time.monotonic() + patience
        while True:
            try:
                return distributed.Client(self._cluster or self.address, timeout=CONNECT, security=self._security())
            except OSError as error:
                if time.monotonic() > until:
                    raise UserError(f"executor.address has no scheduler that answers; got {self.address!r}") from error

    def _security(self) -> Any:
        """Return the certificates of a tls:// address."""
        if not (self.ca_file or self.cert or self.key):
            return None
        certificates = {"tls_ca_file": self.ca_file, "tls_client_cert": self.cert, "tls_client_key": self.key}
        return _library()[1].Security(require_encryption=True, **certificates)


def _library() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError("executor=dask needs Dask: pip install -e '.[cluster]' -c constraints.txt") from error
    return dask, distributed
