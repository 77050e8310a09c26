"""The words of a command line that override settings: `training.clip=2`, `+experiment=NAME`, `~training.clip`."""

import difflib
import re
from collections.abc import Sequence

ELSEWHERE = ("paths", "tracking")  # sections that say where things go, which no command repeats


def asked(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a command line without those that say where things go."""
    return [each for each in overrides if not each.startswith(tuple(f"{name}." for name in ELSEWHERE))]


def name_of(override: str) -> str:
    """Return the setting or group that an override names: `training.clip` of `++training.clip=2`."""
    return re.split("[=@]", override.lstrip("+~"))[0]


def choice(group: str, name: str) -> str:
    """Return the override that chooses a file of a group, in quotes where Hydra can't read its name without.

    >>> choice("cell", "rnn"), choice("cell", "größe")
    ('cell=rnn', "cell='größe'")
    """
    return f"{group}={name}" if re.fullmatch(r"[\w.-]+", name, re.ASCII) else f"{group}='{name}'"


def close_to(word: str, known: Sequence[str], alike: float = 0.6) -> list[str]:
    """Return the one of some words that another one is most alike, if it is so much alike."""
    return difflib.get_close_matches(word, known, n=1, cutoff=alike)


def did_you_mean(word: object, known: Sequence[str]) -> str:
    """Return the end of a sentence that offers the word that was perhaps meant.

    >>> did_you_mean("lstmm", ["lstm", "gru"]), did_you_mean("nope", ["lstm", "gru"])
    ('; did you mean lstm?', '')
    """
    close = close_to(word, known) if isinstance(word, str) else []
    return f"; did you mean {close[0]}?" if close else ""
