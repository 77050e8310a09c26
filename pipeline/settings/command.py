"""A function of `Settings` as a command: help, settings checked before anything else is imported, errors as sentences.

A command answers `--help`, a mistake and the TAB key before torch, MLflow, Optuna and matplotlib are imported: they are
imported inside its `main`, and Hydra only here, once there is something to compose.
"""

import locale
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from types import FrameType

from pipeline.base.lines import waiting
from pipeline.settings.help import help_text, name_of_command
from pipeline.settings.hydra_guard import require_plain_hydra
from pipeline.settings.messages import exit_on_user_error
from pipeline.settings.places import CONF, PARTS
from pipeline.settings.schema import Settings

Run = Callable[[Settings], None]
UTF8 = "PYTHONUTF8"  # variable of the environment, which processes that a command starts inherit


def stage(run: Run) -> Callable[[], None]:
    """Make a function of `Settings` a command."""
    return stage_with(*PARTS)(run)


def stage_with(*parts: str) -> Callable[[Run], Callable[[], None]]:
    """Make a function a command that uses these parts of conf/ alone: no other is imported and checked before it."""

    def decorate(run: Run) -> Callable[[], None]:
        @wraps(run)
        def command() -> None:
            _require_utf8(run)
            words = sys.argv[1:]
            if {"-h", "--help"} & set(words):
                with exit_on_user_error():
                    print(help_text(run, words))
                return
            signal.signal(signal.SIGTERM, _terminate)
            with exit_on_user_error(name_of_command(run)):
                require_plain_hydra(words, CONF)
                flags = {word for word in words if word.startswith("-")} - {"-m", "--multirun"}  # Hydra answers those
                with nullcontext() if flags else waiting(f"{name_of_command(run)}: loads settings and libraries …"):
                    _start(run, words, parts)

        return command

    return decorate


def _require_utf8(run: Run) -> None:
    """Start the command again in Python's UTF-8 mode where it was started in another encoding: our files are UTF-8."""
    typed = run.__module__ == "__main__" or Path(sys.argv[0]).name.startswith("horizon-")
    other = not sys.flags.utf8_mode and locale.getencoding().lower() != "utf-8"
    if typed and other and os.environ.get(UTF8) != "1":
        os.environ[UTF8] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _start(run: Run, words: Sequence[str], parts: Collection[str]) -> None:
    """Run a stage with the settings of a command line.

    They are composed once, which Hydra's own main does twice; it has the lines that ask something of Hydra itself.
    """
    if any(word.startswith("-") or "hydra" in word.partition("=")[0] for word in words):
        from pipeline.settings.hydra_main import run_through_hydra

        run_through_hydra(run, words, parts)
    else:
        from pipeline.settings.composition import compose

        settings = compose(words, parts)
        with _quiet():
            run(settings)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave the terminal to the command: libraries log errors only."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C would; a database connection that is being given back just then must not log how it was cut off."""
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    raise KeyboardInterrupt
