"""What a server is to be told, kept in its order until it takes it: a server that is away never holds up the work."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.base.errors import first_line

SHARE = 0.1  # of the time, at most, that may go into asking a server that does not answer
PAUSE = 1.0  # seconds before it is asked again, at least


class RefusedError(Exception):
    """The server answered, and will never take this."""


@dataclass
class Outbox:
    """Calls that tell a server something, made one after the other.

    A call that raises `RefusedError` is dropped and counted as lost. One that raises anything else waits with all
    after it, and is made again later; so it must do no harm when it is made twice.
    """

    say: Callable[[str], None]
    lost: Counter[str] = field(default_factory=Counter)  # what was dropped, by kind
    waiting: deque[tuple[Callable[[], None], str, int]] = field(default_factory=deque)
    answered: bool = False  # ever
    away: bool = False
    _again: float = 0.0  # when the server may be asked again, on the monotonic clock

    def put(self, call: Callable[[], None], kind: str, count: int = 1) -> None:
        """Keep a call that tells so many things of a kind."""
        self.waiting.append((call, kind, count))

    def send(self, urgent: bool = False, strict: bool = False) -> bool:
        """Make the calls that wait, unless the server has just not answered; return True if none is left.

        `urgent` asks the server in any case; `strict` raises `RefusedError` where it refuses a call.
        """
        while self.waiting and (urgent or time.monotonic() >= self._again):
            call, kind, count = self.waiting[0]
            began = time.monotonic()
            try:
                call()
            except RefusedError as error:
                if strict:
                    raise
                self.say(f"{first_line(error)}; not taken: {counted({kind: count})}")
                self.lost[kind] += count
            except Exception as error:
                self._is_away(error, time.monotonic() - began)
                return False
            self.waiting.popleft()
            self.answered = True
        if self.away and not self.waiting:
            self.away = False
            self.say("the server answers again, and what waited was delivered")
        return not self.waiting

    def settle(self, patience: float) -> None:
        """Deliver what waits within so many seconds; a server that never answered is not waited for.

        What remains counts as lost.
        """
        until = time.monotonic() + (patience if self.answered else 0.0)
        try:
            if not self.send(urgent=True) and time.monotonic() < until:
                self.say(f"what was logged is not delivered; waiting for the server, {patience:.0f} s at most")
                while time.monotonic() < until and not self.send(urgent=True):
                    time.sleep(PAUSE)
        finally:
            for _, kind, count in self.waiting:
                self.lost[kind] += count
            self.waiting.clear()

    def _is_away(self, error: Exception, took: float) -> None:
        self._again = time.monotonic() + max(PAUSE, took / SHARE)
        if not self.away:
            self.say(f"{first_line(error)}; what is logged waits until the server answers")
        self.away = True


def counted(kinds: Counter[str] | dict[str, int]) -> str:
    """Numbers of things in words.

    >>> counted({"metrics": 5000, "files": 2})
    '5000 metrics, 2 files'
    """
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
