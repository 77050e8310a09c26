"""The course of an atlas: a learning rate for every pair and its search, always what costs least."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.base.deciding import NO_RESULT
from pipeline.base.errors import first_line
from pipeline.base.files import replaced, write_json
from pipeline.base.terminal import Display, open_display
from pipeline.base.trees import as_json
from pipeline.records.atlas import PAIR, RATE, PairRecord
from pipeline.records.atlas_places import Place, read_found
from pipeline.runs.atlas_agenda import Pace, Step, group
from pipeline.runs.atlas_plan import Entry, home_of, planned
from pipeline.runs.atlas_table import write_table
from pipeline.runs.learning_rate import choose_rate
from pipeline.runs.studies import search_name
from pipeline.runs.sweep import require_none, run_together
from pipeline.settings import Settings
from pipeline.settings.destination import shown
from pipeline.settings.overrides import name_of

EVERY = 300.0  # seconds between two pages while the work goes on

Show = Callable[[], None]  # makes the page of what is there


def atlas(settings: Settings, show: Show = lambda: None) -> None:
    """Place cells on tasks; `show` is called now and then, and at the end.

    Raises `UserError` where a pair failed, after all others.
    """
    settings.require_runs()
    home = settings.results / home_of(settings)
    with open_display("atlas") as display, settings.part("executor") as executor:
        entries = planned(settings)
        done = sum(each.done for each in entries)
        display.print(f"{len(entries)} pairs, {done} of them done before; writes {shown(home)}")
        course = Course(home, [each.place for each in entries], display, executor, show)
        course.show()
        failed = course.work(entries)
        course.show()
    require_none(failed, len(entries), "pairs")
    display.print(f"{sum(each.done for each in entries)} of {len(entries)} horizons in {shown(home / 'horizons.md')}")


class Course:
    """The work of an atlas, and how far it has come."""

    def __init__(self, home: Path, places: Sequence[Place], display: Display, executor: Any, page: Show) -> None:
        self.home, self.places, self.display, self.executor, self.page = home, places, display, executor, page
        self.shown = time.monotonic()
        self.failed: dict[str, str] = {}  # which pairs, and why
        self.pace = Pace(executor.workers)

    def work(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Do what is still wanted, the cheapest first; return what failed, and why.

        What another process has in hand is left to it, and so is what it finished meanwhile.
        """
        waiting = [step for step in map(Step.of, entries) if step]
        left_to_others: set[str] = set()
        while waiting:
            chosen = group(waiting, self.executor.workers)
            with ExitStack() as locks:
                mine = [step for step in chosen if locks.enter_context(held(step.entry))]
                left_to_others |= {step.entry.title for step in chosen if step not in mine}
                self.do([step for step in mine if still(step)])
            seen = {step.entry.title for step in chosen}
            rest = [step for step in waiting if step.entry.title not in seen]
            again = [step for each in chosen if (step := Step.of(each.entry))]
            aside = left_to_others | self.failed.keys()
            waiting = rest + [step for step in again if step.entry.title not in aside]
            self.report(len(entries), waiting)
        return self.failed

    def do(self, steps: list[Step]) -> None:
        """Do pieces of work of one kind side by side."""
        if steps and steps[0].searches:
            self.search(steps)
        elif steps:
            self.choose([step.entry for step in steps])

    def report(self, count: int, waiting: Sequence[Step]) -> None:
        """Show how far the whole is, with the time left."""
        share = 1 - len(waiting) / count
        self.display.progress(share, f"{len(waiting)} of {count} pairs are left", left=self.pace.left(waiting))
        if time.monotonic() > self.shown + EVERY:
            self.show()

    def show(self) -> None:
        """Write the table and the page of what is there."""
        write_table(self.home, self.places)
        self.page()
        self.shown = time.monotonic()

    def choose(self, entries: Sequence[Entry]) -> None:
        """Choose the learning rate of each pair, and keep each as it comes."""
        futures = {self.executor.submit(choose_rate, each.settings): each for each in entries}
        for future in as_completed(futures):
            each = futures[future]
            try:
                found = future.result()
            except Exception as error:
                self.failed[each.title] = first_line(error)
                self.display.print(f"{each.title}: failed: {self.failed[each.title]}")
                continue
            with replaced(each.folder, whole=False) as folder:
                write_json(folder / RATE, as_json(found))
            self.pace.done(float(found.cost))
            self.display.print(f"{each.title}: learning rate {found.chosen:g}, solved {found.longest or 'no length'}")

    def search(self, steps: Sequence[Step]) -> None:
        """Search the horizon of each pair, and write the table anew."""
        asked = {step.entry.title: step.entry.searched(step.entry.rate) for step in steps if step.entry.rate}
        failed = run_together(asked, self.display, self.executor)
        self.failed |= failed
        for step in steps:
            each = step.entry
            if each.title not in failed:
                own = asked[each.title]
                with replaced(each.folder, whole=False) as folder:
                    write_json(folder / PAIR, as_json(PairRecord(search_name(own), question(own))))
                found = read_found(each.folder)
                self.pace.done(float(found.compute) if found else step.cost, step.cost)
        write_table(self.home, self.places)


def still(step: Step) -> bool:
    """Whether a piece of work is still to be done, now that the pair is held."""
    now = Step.of(step.entry)
    return now is not None and now.searches is step.searches


def question(settings: Settings) -> str:
    """Return the command line that asks for one horizon, without the words that change no result: where it runs."""
    names = [(name_of(word), word) for word in settings.overrides]
    words = [word for name, word in names if not {name, name.partition(".")[0]} & set(NO_RESULT)]
    return replace(settings, overrides=tuple(words)).command("search")


@contextmanager
def held(entry: Entry) -> Iterator[bool]:
    """Hold a pair; False where another process does. A process that is killed holds nothing."""
    folder = entry.settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{str(entry.settings.home).replace('/', '-')}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
