"""The searches of a grid side by side on one executor."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import optuna

from pipeline.base.errors import UserError, first_line
from pipeline.base.terminal import Display, display
from pipeline.runs.search import Searching, opened
from pipeline.settings import Settings
from pipeline.settings.composition import grid
from pipeline.settings.tuned import tuned
from pipeline.study import driver
from pipeline.study.driver import Search


def sweep(settings: Settings) -> None:
    """Find every horizon of the grid."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with display("sweep") as shown, Many(shown) as many, settings.part("executor") as executor:
        many.driven = [many.open(each).driven(executor.remote, workers=1) for each in map(tuned, grid(settings))]
        driver.run(many.driven, executor, executor.workers, many.ended)
    if many.failed:
        raise UserError(f"{len(many.failed)} of {len(many.driven)} searches failed: {'; '.join(many.failed)}")
    shown.say(f"{len(many.driven)} horizons in {settings.results / 'search'}")


@dataclass
class Many:
    """Searches that are under way, each with a run of its own that ends as the search ends."""

    shown: Display
    searches: list[Searching] = field(default_factory=list)
    stacks: list[ExitStack] = field(default_factory=list)
    driven: list[Search] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def open(self, settings: Settings) -> Searching:
        """Begin one."""
        stack = ExitStack()
        search = stack.enter_context(opened(settings, self.shown.beside(settings.title)))
        self.searches.append(search)
        self.stacks.append(stack)
        return search

    def ended(self, one: Search) -> None:
        """Write the answer of one that has ended; one that failed does not end the others."""
        place = next(index for index, each in enumerate(self.driven) if each is one)
        search = self.searches[place]
        try:
            with self.stacks[place]:
                if one.error:
                    raise one.error
                search.conclude()
        except Exception as error:
            self.failed.append(f"{search.settings.title}: {first_line(error)}")
            search.shown.say(f"failed: {first_line(error)}")

    def __enter__(self) -> "Many":
        return self

    def __exit__(self, *error: object) -> None:
        """End the runs of those that did not come to an end."""
        for stack in self.stacks:
            stack.__exit__(*error)  # type: ignore[arg-type]
