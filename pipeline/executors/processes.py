"""Several processes of this machine; one that dies takes its own trial with it, and that is tried again."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ClassVar

from pipeline.base.errors import require


@dataclass
class Processes(Executor):
    """Runs each call in one of `workers` processes, which are spawned: nothing of this one is copied into them.

    `ProcessPoolExecutor` breaks whole when one child dies, so each worker is a pool of its own. A call whose process
    died is made again in a new one, `retries` times at most; a call that returned is never made again.
    """

    remote: ClassVar[bool] = True

    workers: int  # calls at once
    retries: int  # of a call whose process died
    _threads: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _idle: SimpleQueue["Worker"] = field(default_factory=SimpleQueue, init=False, repr=False)
    _all: list["Worker"] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        require(self.workers >= 1, "executor.workers", "must be at least 1", self.workers)
        require(self.retries >= 0, "executor.retries", "must be at least 0", self.retries)

    def __enter__(self) -> "Processes":
        """Make the workers; each process starts with its first call."""
        self._threads = ThreadPoolExecutor(self.workers, "worker")
        self._all = [Worker() for _ in range(self.workers)]
        for worker in self._all:
            self._idle.put(worker)
        return self

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call with picklable arguments in the next idle process."""
        if self._threads is None:
            raise RuntimeError("an executor is used inside `with`")
        return self._threads.submit(self._run, call, args, kwargs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the calls that run; after an error end them at once."""
        if self._threads is not None:
            for worker in self._all if error else ():
                worker.kill()
            self._threads.shutdown(wait=True, cancel_futures=True)
            for worker in self._all:
                worker.close()
            self._threads = None

    def _run(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        worker = self._idle.get()
        try:
            for attempts_left in range(self.retries, -1, -1):
                try:
                    return worker.run(call, *args, **kwargs)
                except BrokenProcessPool:
                    if not attempts_left or worker.closed:
                        raise
        finally:
            self._idle.put(worker)


class Worker:
    """One process that runs a call at a time, started anew where it died."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None
        self.closed = False

    def run(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return what the call returns; raise BrokenProcessPool if its process dies."""
        if self.pool is None:
            self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        try:
            return self.pool.submit(call, *args, **kwargs).result()
        except BrokenProcessPool:
            self.pool = None
            raise

    def kill(self) -> None:
        """End the process, whatever it does, for good.

        Python has `kill_workers` for that from 3.14 on; before, the processes of a pool are private.
        """
        self.closed = True
        for process in list(self.pool._processes.values()) if self.pool and self.pool._processes else ():
            process.kill()

    def close(self) -> None:
        """Let the process end."""
        if self.pool:
            self.pool.shutdown()


def _begin() -> None:
    """Set up a new worker: ignore the keyboard, and end when the driver ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
