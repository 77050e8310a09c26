"""What a command says to `--help`: what it does, what can be chosen, and the settings that it reads."""

import inspect
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.settings.listing import Setting, chosen, settings_of
from pipeline.settings.overrides import name_of
from pipeline.settings.places import CONF, options

TRAINS = ("cell", "task", "optimizer", "training", "data")  # what every command that trains reads
PLACES = ("tracking", "paths")
READS = {  # sections and parts that a command reads, or single settings, in the order of its help
    "prepare": ("task", "data", "search.length_min", "search.length_max", "search.per_octave", "paths"),
    "train": (*TRAINS, "search.tuned", *PLACES, "publish"),
    "search": (*TRAINS, "search", "executor", *PLACES, "publish"),
    "sweep": (*TRAINS, "search", "sweep", "executor", *PLACES, "publish"),
    "tune": (*TRAINS, "tune", "search", "executor", *PLACES, "publish"),
    "retune": (*TRAINS, "retune", "tune", "search", "executor", *PLACES, "publish"),
    "explain": (*TRAINS, "explain", "search", *PLACES, "publish"),
    "atlas": (*TRAINS, "atlas", "search", "executor", *PLACES),
    "pair": ("paths",),
    "report": ("paths",),
    "papers": ("paths",),
    "ui": (*PLACES,),
}
NAMES = {"pair": ("task", "cell")}  # groups of which a command reads no more than the name that was chosen
WIDEST = 120  # columns
LEAST_COMMENT = 36  # columns that a comment has beside its setting, else it stands below; the longest word has 35


def name_of_command(run: Callable[..., Any]) -> str:
    """Return the word by which a command is called: `search` of `python -m pipeline.search`."""
    word = run.__module__.rpartition(".")[2]
    return word if word != "__main__" else Path(sys.argv[0]).stem


def help_text(run: Callable[..., Any], words: Sequence[str] = (), width: int | None = None) -> str:
    """Return what a command does, the options of its groups, and the settings of those that a command line names.

    No line is longer than `width` columns, by default those of the terminal. Raises `UserError` for an option that
    does not exist.
    """
    width = min(width or shutil.get_terminal_size().columns, WIDEST) - 1
    name, about = name_of_command(run), inspect.cleandoc(sys.modules[run.__module__].__doc__ or "")
    parts = [*_filled(about, width), *_choices(name, width), *_sections(name, words, width)]
    closing = (
        "-m a=1,2 b=x,y runs every combination. --cfg job prints the settings; --hydra-help has Hydra's own flags.",
        f'Completion: eval "$(horizon-{name} -sc install=bash)", then horizon-{name} task=<TAB>; or zsh, fish.',
        "Ends with 0; 2: a setting or file is wrong; 130: interrupted; 1: a fault of the program.",
    )
    return "\n".join([*parts, "", *(line for each in closing for line in _wrapped(each, width))])


def _filled(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a docstring for a width; a long command line goes on behind a backslash."""
    for number, paragraph in enumerate(text.split("\n\n")):
        yield from [""] if number else []
        if paragraph.startswith("    "):
            for line in paragraph.splitlines():
                *first, last = _wrapped(line.strip(), width - 2, "    ", "        ")
                yield from (f"{each} \\" for each in first)
                yield last
        else:
            yield from _wrapped(" ".join(paragraph.split()), width)


def _choices(name: str, width: int) -> Iterator[str]:
    """Yield the options of each group that a command reads."""
    groups = [group for group in ("task", "cell", "optimizer", "executor") if group in READS[name]]
    groups += NAMES.get(name, ())
    if not groups:
        return
    yield from ["", *_wrapped("Parts, one file each in conf/, chosen as in task=copy:", width)]
    for group in groups:
        yield from _wrapped("  ".join(options(group)), width, f"  {group:<10} ", " " * 13)
    if "training" in READS[name] and (experiments := options("experiment")):
        yield from [
            "",
            *_wrapped("Published settings, chosen as in +experiment=vanishing, with the + before it:", width),
        ]
        yield from _wrapped("  ".join(experiments), width, "  ", "  ")


def _sections(name: str, words: Sequence[str], width: int) -> Iterator[str]:
    """Yield the settings that a command reads, by sections, as words that a command line may have."""
    choice, read = chosen(words), READS[name]
    every = [each for each in settings_of(choice) if _is_read(each, read, choice["cell"])]
    longest = max((len(each.word) for each in every if len(each.word) + LEAST_COMMENT + 4 <= width), default=0)
    sections = dict.fromkeys(each.partition(".")[0] for each in read)
    yield from ["", *_wrapped("Settings and what they are, to be changed on the command line:", width)]
    tuned = CONF / "tuned" / f"{choice['task']}-{choice['cell']}.yaml"
    if "cell" in read and tuned.exists():
        file = tuned.relative_to(CONF.parent)
        yield from _wrapped(f"(search.tuned=true puts those of {file} in the place of some)", width)
    for section in sections:
        mine = [each for each in every if each.name.partition(".")[0] == section]
        yield from ["", *_wrapped(_heading(section, choice, words), width)] if mine else []
        for each in mine:
            yield from _row(each, longest, width)


def _heading(section: str, choice: Mapping[str, str], words: Sequence[str]) -> str:
    """Return the name of a section, for a part with the option that was chosen."""
    if section not in choice:
        return section
    by_default = section not in map(name_of, words)
    return f"{section}={choice[section]}{' (the default; name another to see its settings)' if by_default else ''}"


def _is_read(setting: Setting, read: Sequence[str], cell: str) -> bool:
    """Return True for a setting that a command reads, and of those of a tuning if it is for the cell that is named."""
    of_cells = setting.name.removeprefix("tune.cells.")
    if of_cells != setting.name and of_cells.partition(".")[0] != cell:
        return False
    return any(setting.name == each or setting.name.startswith(f"{each}.") for each in read)


def _row(setting: Setting, longest: int, width: int) -> Iterator[str]:
    """Yield a setting and what it is beside it, or below it where there is no room."""
    beside = " " * (longest + 4)
    if len(setting.word) <= longest:
        yield from _wrapped(setting.comment, width, f"  {setting.word:<{longest}}  ", beside) or [f"  {setting.word}"]
        return
    yield from (line.replace(", ", ",") for line in _wrapped(setting.word.replace(",", ", "), width, "  ", "    "))
    yield from _wrapped(setting.comment, width, beside, beside)


def _wrapped(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Return lines of a text that break between words alone."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
