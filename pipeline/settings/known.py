"""Which settings exist, from the files of conf/, and what was perhaps meant by one that does not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.base.errors import UserError, require, shown
from pipeline.settings.hydra_guard import Loader
from pipeline.settings.overrides import close_to, did_you_mean
from pipeline.settings.places import CONF, PARTS, groups, options

if TYPE_CHECKING:
    import hydra.core.override_parser.types

ALIKE = 0.85  # names that are at least so much alike may have been confused
ALIKE_WORDS = 0.8  # the same of their last words
SEVERAL = 3  # names of settings that a sentence offers at most


def known_settings() -> list[str]:
    """Return every setting and every group of settings with its full name, from all files of conf/."""
    names = {path.name for path in CONF.iterdir() if path.is_dir()}
    for path in CONF.glob("**/*.yaml"):
        if path.parent.name == "tuned":
            continue  # settings of other files
        text = path.read_text(encoding="utf-8")
        package = "" if path.parent == CONF or "@package _global_" in text else f"{path.parent.name}."
        names |= set(_names(_content(text), package))
    return sorted(names)


def _content(text: str) -> Any:
    try:
        return yaml.load(text, Loader)  # safe: both loaders make plain values only
    except yaml.YAMLError:
        return None  # Hydra says what is wrong with it, if it is chosen


def _names(tree: Any, above: str) -> Iterator[str]:
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        yield f"{above}{key}"
        yield from _names(value, f"{above}{key}.")


def unknown(name: str) -> str:
    """Say that a setting does not exist, and which one was perhaps meant."""
    known = known_settings()
    section = name.partition(".")[0]
    if name in known and section in groups() and name != section:
        return f"{name} is not a setting of the {section} that was chosen"
    close = [each for each in close_to(name, known, ALIKE) if each != section]
    meant = " or ".join(close or _by_last_word(name, known))
    return f"{name or repr(name)} is not a setting; " + (f"did you mean {meant}?" if meant else "--help lists them")


def _by_last_word(name: str, known: Sequence[str]) -> list[str]:
    """Return the settings whose last word is nearly a name without a section: optimizer.lr for lr."""
    last = {each.rpartition(".")[2] for each in known if each.count(".") == 1}
    close = [] if "." in name else close_to(name, sorted(last), ALIKE_WORDS)
    return [each for each in known if each.count(".") == 1 and each.rpartition(".")[2] in close][:SEVERAL]


def require_option(group: str, option: Any) -> None:
    """Raise `UserError` where a group has no such file, with the one that was perhaps meant."""
    known = options(group)
    if option not in known:
        rule = f"{group} must be one of {', '.join(known) or '(there are none yet)'}; got {shown(option)}"
        raise UserError(f"{rule}{did_you_mean(option, known)}")


def require_known(overrides: "Iterable[hydra.core.override_parser.types.Override]", several: bool) -> None:
    """Raise `UserError` for the first override that names no setting, or no option of a group.

    A name that begins with + may be new: the part or section that it is added to knows. `several` is a multirun.
    """
    known = known_settings()
    for override in overrides:
        name, adds = override.key_or_group, override.is_add() or override.is_force_add()
        if override.is_sweep_override() and not several:
            raise UserError(f"{override.input_line} gives several values; with -m each of them is run")
        if name in (*PARTS, "experiment") and not override.is_delete():
            _require_options(override)
        elif not name or not (adds or override.package or name in known):
            raise UserError(unknown(name))


def _require_options(override: "hydra.core.override_parser.types.Override") -> None:
    """Raise `UserError` where a group is given something else than the name of one of its files."""
    group, chosen = override.key_or_group, override.value()
    if group == "experiment":
        require(not isinstance(chosen, list), group, "is one name, for it names the results", override.input_line)
        rule = f"takes a + before it, as in +{override.input_line}"
        require(override.is_add(), group, rule, override.input_line)
    if isinstance(chosen, dict) or (override.is_sweep_override() and not hasattr(chosen, "list")):
        return  # `cell={hidden: 3}` is a setting, glob(*) names none, and Hydra refuses the rest
    for value in getattr(chosen, "list", [chosen]):
        require_option(group, getattr(value, "text", value))  # a quoted one has its text
