"""Searches side by side on one executor: those of a grid, or any."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import UserError, first_line
from pipeline.base.terminal import Display, open_display
from pipeline.runs.search import SearchRun, open_search
from pipeline.settings import Settings
from pipeline.settings.composition import grid
from pipeline.settings.tuned import tuned
from pipeline.study import driver


def sweep(settings: Settings) -> None:
    """Find every horizon of the grid."""
    with open_display("sweep") as display, settings.part("executor") as executor:
        members = {each.title: each for each in map(tuned, grid(settings))}
        failed = run_together(members, display, executor)
    require_none(failed, len(members), "searches")
    display.print(f"{len(members)} horizons in {settings.results / 'search'}")


def run_together(searches: Mapping[str, Settings], display: Display, executor: Any) -> dict[str, str]:
    """Run searches side by side, each under a name, and return one sentence for each that failed."""
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        members = [Member.open(name, settings, display, stack, executor.remote) for name, settings in searches.items()]

        def conclude(ended: driver.Search) -> None:
            for member in members:
                if member.driven is ended and (sentence := member.conclude()):
                    failed[member.name] = sentence

        driver.run([member.driven for member in members], executor, executor.workers, conclude)
    return failed


def require_none(failed: Mapping[str, str], of: int, what: str) -> None:
    """Raise `UserError` that names what failed, if anything did."""
    if failed:
        sentences = "; ".join(f"{name}: {sentence}" for name, sentence in failed.items())
        raise UserError(f"{len(failed)} of {of} {what} failed: {sentences}")


@dataclass(frozen=True)
class Member:
    """A search that is under way beside others, with a run of its own that ends as the search ends."""

    name: str
    search: SearchRun
    driven: driver.Search
    end: ExitStack

    @classmethod
    def open(cls, name: str, settings: Settings, display: Display, stack: ExitStack, remote: bool) -> "Member":
        """Open a search; what `conclude` does not end, `stack` does."""
        end = stack.enter_context(ExitStack())
        search = end.enter_context(open_search(settings, display.beside(name)))
        return cls(name, search, search.driven(remote, workers=1), end)

    def conclude(self) -> str:
        """Write the answer; return a sentence if the search failed, for that does not end the others."""
        try:
            with self.end:
                if self.driven.error:
                    raise self.driven.error
                self.search.conclude()
        except Exception as error:
            self.search.work.display.print(f"failed: {first_line(error)}")
            return first_line(error)
        return ""
