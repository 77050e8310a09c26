"""The searches of a grid side by side on one executor."""

from contextlib import ExitStack
from dataclasses import dataclass

from pipeline.base.errors import UserError, first_line
from pipeline.base.terminal import Display, open_display
from pipeline.runs.search import SearchRun, open_search
from pipeline.settings import Settings
from pipeline.settings.composition import grid
from pipeline.settings.tuned import tuned
from pipeline.study import driver


def sweep(settings: Settings) -> None:
    """Find every horizon of the grid."""
    failed: list[str] = []
    with open_display("sweep") as display, ExitStack() as stack, settings.part("executor") as executor:
        members = [Member.open(each, display, stack, executor.remote) for each in map(tuned, grid(settings))]

        def conclude(ended: driver.Search) -> None:
            failed.extend(member.conclude() for member in members if member.driven is ended)

        driver.run([member.driven for member in members], executor, executor.workers, conclude)
    if sentences := list(filter(None, failed)):
        raise UserError(f"{len(sentences)} of {len(members)} searches failed: {'; '.join(sentences)}")
    display.print(f"{len(members)} horizons in {settings.results / 'search'}")


@dataclass(frozen=True)
class Member:
    """A search that is under way beside others, with a run of its own that ends as the search ends."""

    search: SearchRun
    driven: driver.Search
    end: ExitStack

    @classmethod
    def open(cls, settings: Settings, display: Display, stack: ExitStack, remote: bool) -> "Member":
        """Open a search; what `conclude` does not end, `stack` does."""
        end = stack.enter_context(ExitStack())
        search = end.enter_context(open_search(settings, display.beside(settings.title)))
        return cls(search, search.driven(remote, workers=1), end)

    def conclude(self) -> str:
        """Write the answer; return a sentence if the search failed, for that does not end the others."""
        try:
            with self.end:
                if self.driven.error:
                    raise self.driven.error
                self.search.conclude()
        except Exception as error:
            self.search.work.display.print(f"failed: {first_line(error)}")
            return f"{self.search.work.settings.title}: {first_line(error)}"
        return ""
