"""Sections of the settings, with a range beside the type of a field: `updates: Annotated[int, at_least(1)]`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

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


def rules_of(kind: type) -> dict[str, tuple[Rule, ...]]:
    """Return the rules that stand beside the types of a dataclass's fields."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}


def require_rules(setting: str, value: Any, rules: Sequence[Rule]) -> None:
    """Raise `UserError` where a value breaks one of its rules; null breaks none."""
    for rule in rules:
        require(value is None or rule.kept(value), setting, rule.words, value)


class Section:
    """A section of the settings: a dataclass with a rule beside the type of each field that has a range."""

    section: ClassVar[str]  # its name in conf/ and on the command line

    def check(self) -> None:
        """Raise `UserError` for the first field that breaks one of its rules."""
        for name, rules in rules_of(type(self)).items():
            require_rules(f"{self.section}.{name}", getattr(self, name), rules)
