"""Sections of the settings, with a range beside the type of a field: `updates: Annotated[int, at_least(1)]`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, ClassVar, get_args, get_type_hints

from pipeline.base.errors import require


@dataclass(frozen=True)
class Rule:
    """A test of a value, and the words that follow the name of the setting in an error."""

    words: str
    kept: Callable[[Any], bool]


def at_least(least: int, otherwise: str = "") -> Rule:
    """Return the rule of values from `least` on; `otherwise` says what null stands for where a field may be null."""
    return Rule(f"must be at least {least}{otherwise}", lambda value: value >= least)


def above(limit: int, otherwise: str = "") -> Rule:
    """Return the rule of values above `limit`."""
    return Rule(f"must be above {limit}{otherwise}", lambda value: value > limit)


def between(least: int, most: int) -> Rule:
    """Return the rule of values from `least` to `most`, both of which are allowed."""
    return Rule(f"must be from {least} to {most}", lambda value: least <= value <= most)


def one_of(choices: Sequence[str]) -> Rule:
    """Return the rule of values that are one of some words."""
    return Rule(f"must be one of {', '.join(choices)}", lambda value: value in choices)


SEED = Rule("must be from 0 to 2^63 - 1", lambda value: 0 <= value < 2**63)
SHARE = Rule("is a share, above 0 and below 1", lambda value: 0 < value < 1)
FOLDER = Rule("must be a folder", bool)


def require_rules(setting: str, value: Any, hint: Any) -> None:
    """Raise `UserError` where a value breaks a rule beside its type; null, where the type has it, breaks none."""
    if value is None and NoneType in get_args(getattr(hint, "__origin__", None)):
        return
    for rule in getattr(hint, "__metadata__", ()):
        require(rule.kept(value), setting, rule.words, value)


class Section:
    """A section of the settings: a dataclass with a rule beside the type of each field that has a range."""

    section: ClassVar[str]  # its name in conf/ and on the command line

    def check(self) -> None:
        """Raise `UserError` for the first field that breaks one of its rules."""
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            require_rules(f"{self.section}.{name}", getattr(self, name), hint)
