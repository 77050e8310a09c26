"""One trial at a time, in this process."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ClassVar


class Inline(Executor):
    """Runs each call at once, in this process."""

    workers: ClassVar[int] = 1  # calls at once
    remote: ClassVar[bool] = False

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
