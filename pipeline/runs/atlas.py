"""The course of an atlas: a learning rate for every pair, then their searches, the cheapest first."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from filelock import FileLock, Timeout

from pipeline.base.deciding import NO_RESULT
from pipeline.base.errors import first_line
from pipeline.base.files import replaced, write_json
from pipeline.base.terminal import Display, open_display
from pipeline.base.trees import as_json
from pipeline.records.atlas import PAIR, RATE, PairRecord
from pipeline.runs.atlas_plan import Entry, planned
from pipeline.runs.atlas_table import Place, write_table
from pipeline.runs.learning_rate import choose_rate
from pipeline.runs.studies import search_name
from pipeline.runs.sweep import require_none, run_together
from pipeline.settings import Settings
from pipeline.settings.overrides import name_of

Work = Callable[[list[Entry], Display, Any], dict[str, str]]  # (pairs, display, executor) -> what failed, and why


def atlas(settings: Settings) -> None:
    """Place cells on tasks."""
    settings.require_runs()
    with open_display("atlas") as display, settings.part("executor") as executor:
        entries = planned(settings)
        display.print(f"{len(entries)} pairs, {sum(each.done for each in entries)} of them done before")
        places = [each.place for each in entries]
        write_table(settings.results, places)
        failed = worked(entries, lambda each: each.rate is None, choose, display, executor)
        known = sorted((each for each in entries if each.rate), key=reached)
        failed |= worked(known, lambda each: not each.done, partial(search, places), display, executor)
        write_table(settings.results, places)
    require_none(failed, len(entries), "pairs")
    done = sum(each.done for each in entries)
    display.print(f"{done} of {len(entries)} horizons in {settings.results / 'atlas' / 'horizons.md'}")


def reached(entry: Entry) -> float:
    """Return how far a pair came with its rate, after which its search costs little or much."""
    return entry.rate.reached if entry.rate else 0.0


def worked(
    entries: Sequence[Entry], wanted: Callable[[Entry], bool], work: Work, display: Display, executor: Any
) -> dict[str, str]:
    """Do what is still wanted of each pair, as many at once as there are workers; return what failed, and why.

    What another process has in hand is left to it, and so is what it finished meanwhile.
    """
    failed: dict[str, str] = {}
    waiting = [each for each in entries if wanted(each)]
    while waiting:
        group, waiting = waiting[: executor.workers], waiting[executor.workers :]
        with ExitStack() as locks:
            mine = [each for each in group if locks.enter_context(held(each)) and wanted(each)]
            failed |= work(mine, display, executor) if mine else {}
        display.progress(1 - len(waiting) / len(entries), f"{len(waiting)} of {len(entries)} pairs are left")
    return failed


@contextmanager
def held(entry: Entry) -> Iterator[bool]:
    """Hold a pair; False where another process does. A process that is killed holds nothing."""
    folder = entry.settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"atlas-{entry.width}-{entry.task}-{entry.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def choose(entries: list[Entry], display: Display, executor: Executor) -> dict[str, str]:
    """Choose the learning rate of each pair."""
    futures = [(each, executor.submit(choose_rate, each.settings)) for each in entries]
    failed: dict[str, str] = {}
    for each, future in futures:
        try:
            found = future.result()
        except Exception as error:
            failed[each.title] = first_line(error)
            display.print(f"{each.title}: failed: {failed[each.title]}")
            continue
        with replaced(each.folder, whole=False) as folder:
            write_json(folder / RATE, as_json(found))
        display.print(f"{each.title}: learning rate {found.chosen:g}, solved {found.longest or 'no length'}")
    return failed


def question(settings: Settings) -> str:
    """Return the command line that asks for one horizon, without the words that change no result: where it runs."""
    names = [(name_of(word), word) for word in settings.overrides]
    words = [word for name, word in names if not {name, name.partition(".")[0]} & set(NO_RESULT)]
    return replace(settings, overrides=tuple(words)).command("search")


def search(places: Sequence[Place], entries: list[Entry], display: Display, executor: Any) -> dict[str, str]:
    """Search the horizon of each pair, and write the table anew."""
    asked = {each.title: each.searched(each.rate) for each in entries if each.rate}
    failed = run_together(asked, display, executor)
    for each in entries:
        if each.title not in failed:
            own = asked[each.title]
            with replaced(each.folder, whole=False) as folder:
                write_json(folder / PAIR, as_json(PairRecord(search_name(own), question(own))))
    write_table(entries[0].settings.results, places)
    return failed
