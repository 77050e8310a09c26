"""Which settings a command line has, with values and comments, from the files of conf/ alone: `--help` lists them.

Hydra would say the values, but not the comments, and takes longer to import than the whole answer takes.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pipeline.settings.hydra_guard import Loader
from pipeline.settings.known import require_option
from pipeline.settings.overrides import name_of
from pipeline.settings.places import CONF, PARTS

OWN = ("tune", "retune", "atlas", "explain")  # files of conf/ whose settings one command alone has


@dataclass(frozen=True)
class Setting:
    """One setting, as its file says it."""

    name: str  # in full: training.length
    value: str  # as on a command line
    comment: str  # of each file that has it

    @property
    def word(self) -> str:
        """The word of a command line that sets it to what it is."""
        return shlex.quote(f"{self.name}={self.value}")


def chosen(words: Sequence[str]) -> dict[str, str]:
    """Return the option of each group that a command line names, else the default; raise `UserError` for none.

    >>> chosen(["cell=lem"])["cell"], chosen([])["optimizer"]
    ('lem', 'adam')
    """
    found = _defaults(CONF / "config.yaml")
    named = {name_of(word): word.partition("=")[2].strip("'\"") for word in words if "=" in word}
    for group in (*PARTS, "experiment"):
        if option := named.get(group):
            require_option(group, option)
    if experiment := named.get("experiment"):
        found |= _defaults(CONF / "experiment" / f"{experiment}.yaml") | {"experiment": experiment}
    return found | {group: named[group] for group in PARTS if named.get(group)}


def _defaults(path: Path) -> dict[str, str]:
    """Return the options that a file chooses in its list of defaults."""
    lines = re.findall(r"^  - (?:override /)?(\w+): (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {group: option for group, option in lines if group in PARTS}


def settings_of(choice: Mapping[str, str]) -> list[Setting]:
    """Return every setting with the value that the chosen files give it, in the order of conf/; the last file wins."""
    files = [CONF / "config.yaml", *(CONF / f"{name}.yaml" for name in OWN)]
    files += [CONF / group / f"{choice[group]}.yaml" for group in ("cell", "optimizer", "sampler", "executor", "task")]
    if "experiment" in choice:
        files.append(CONF / "experiment" / f"{choice['experiment']}.yaml")
    found: dict[str, Setting] = {}
    for path in files:
        for setting in _read(path):
            if before := found.get(setting.name):
                own = f"[{path.parent.name}={path.stem}{f': {setting.comment}' if setting.comment else ''}]"
                setting = replace(setting, comment=f"{before.comment} {own}".lstrip())
            found[setting.name] = setting
    return list(found.values())


def _read(path: Path) -> Iterator[Setting]:
    """Yield the settings of a file."""
    text = path.read_text(encoding="utf-8")
    package = "" if path.parent == CONF or "@package _global_" in text else f"{path.parent.name}."
    for name, node in _leaves(yaml.compose(text, Loader), package):
        line = text.splitlines()[node.start_mark.line - (isinstance(node, yaml.SequenceNode) and not node.flow_style)]
        comment = line.partition(" # ")[2]
        if not name.startswith(("defaults", "hydra.")) and "._" not in name:
            yield Setting(name, _value(text, node), comment)


def _leaves(node: Any, above: str) -> Iterator[tuple[str, Any]]:
    """Yield the settings below a node of YAML: what stands on one line is one setting, a group in braces too."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _leaves(value, f"{above}{key.value}.")
        else:
            yield f"{above}{key.value}", value


def _value(text: str, node: Any) -> str:
    """Return a value as it is typed on a command line."""
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        written = f"[{','.join(each.value for each in node.value)}]"
    else:
        written = text.splitlines()[node.start_mark.line][node.start_mark.column : node.end_mark.column]
    quoted = re.sub(r"[\w.]+=[\w.]+", r'"\g<0>"', written)  # words of a command line in a list
    return re.sub(r"(?<=[,:]) +", "", quoted)
