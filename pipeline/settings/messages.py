"""What a command says: its help, and in one sentence what was wrong with its settings."""

import difflib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pipeline.base.errors import first_line
from pipeline.base.redaction import redacted

HIDDEN = ("experiment", "tuned")  # groups that are listed on their own, or that nobody chooses


def fail(sentence: str, status: int = 2) -> NoReturn:
    """End the command with one sentence on standard error."""
    print(f"error: {redacted(sentence)}", file=sys.stderr)
    sys.exit(status)


def sentence(error: BaseException, conf: Path) -> str:
    """Say in one sentence what Hydra or OmegaConf said in many lines, naming setting, rule and value."""
    text = f"{error}\n{error.__cause__ or ''}"
    if match := re.search(r"Could not find '([\w.]+)/([^']*)'", text):
        group, value = match.groups()
        return f"{group} must be one of {', '.join(options(conf, group)) or '(there are none yet)'}; got {value!r}"
    if match := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"{match[1]} is a setting already, so it takes no + before it"
    if match := re.search(r"Could not delete from config\. The value of '([^']*)' is", text):
        return f"~{match[1]} must have no value behind it, or the one that is there" if match[1] else unknown("", conf)
    if (match := re.search(r"Could not delete from config\. '([^']*)' does not exist", text)) and (
        match[1] in known_settings(conf)
    ):
        return f"~{match[1]} has nothing to take away, for {match[1]} has no value"
    if match := re.search(r"Could not (?:override|append to config|delete from config\.) '?([^'\s]*)'?", text):
        return unknown(match[1].lstrip("+~"), conf)
    if match := re.search(r"Key '([^']*)' (?:is not in struct|not in '\w+')", text):
        return unknown(_full_key(text) or match[1], conf)
    if match := re.search(r"Interpolation key '([^']*)' not found", text):
        return f"{_full_key(text)} refers to ${{{match[1]}}}, which is not a setting"
    if match := re.search(r"Ambiguous value for argument '([^']*)'", text):
        return f"{match[1]} gives several values; with -m each of them is run"
    if match := re.search(r"Error merging override (.*)", text):
        return f"{match[1]!r} can't be set: {_of_cause(error)}"
    if match := re.search(r"deletion value must be a string .*input_line=('.*?'),", text):
        return f"{match[1]} can't be read as a setting to take away, like ~training.length"
    if "Config group override must be a string" in text:
        return f"{', '.join(groups(conf))}: each must name one of its options; got null"
    if (override := getattr(error, "override", None)) is not None:
        return f"{override!r} can't be read as a setting and its value, like training.length=20"
    if key := _full_key(text):
        return f"{key} can't be used: {first_line(error).rstrip('.')}"
    return first_line(error).rstrip(".")


def options(conf: Path, group: str) -> list[str]:
    """The files of a group of conf/."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def groups(conf: Path) -> list[str]:
    """The folders of conf/ that hold options, experiments apart."""
    folders = (path.name for path in conf.iterdir() if path.is_dir() and path.name not in HIDDEN)
    return sorted(name for name in folders if options(conf, name))


def help_text(run: Callable[..., Any], conf: Path) -> str:
    """What a command does, the options of each group, and every setting with its comment."""
    module = sys.modules[run.__module__]
    listed = "\n".join(f"  {group}={'|'.join(options(conf, group))}" for group in groups(conf))
    name = module.__name__.rpartition(".")[2] if module.__name__ != "__main__" else Path(sys.argv[0]).stem
    experiments = "|".join(options(conf, "experiment"))
    own = conf / f"{module.__name__.rpartition('.')[2]}.yaml"  # of this command alone
    return "\n".join(
        [
            inspect.cleandoc(module.__doc__ or ""),
            "",
            "Parts, one file each in conf/; change a value inside with e.g. cell.hidden=64:",
            listed + (f"\n  +experiment={experiments}  a published setting" if experiments else ""),
            "",
            "Settings (conf/config.yaml; a task's own file in conf/task/ may give another value):",
            _settings(conf),
            *([f"\nSettings of this command (conf/{own.name}):", _indented(own.read_text())] if own.exists() else []),
            "",
            "-m a=1,2 b=x,y runs every combination. --cfg job prints the settings; --hydra-help has Hydra's own flags.",
            f'Completion: eval "$(horizon-{name} -sc install=bash)", then horizon-{name} task=<TAB>; or zsh, fish.',
            "Ends with 0; 2: a setting or file is wrong; 130: interrupted; 1: a fault of the program.",
        ]
    )


def _settings(conf: Path) -> str:
    """config.yaml without its head and tail, which are Hydra's."""
    text = (conf / "config.yaml").read_text()
    return _indented(text[text.index("\ndata:") : text.index("\nhydra:")])


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.strip().splitlines())


def unknown(name: str, conf: Path) -> str:
    """Say that a setting does not exist, and which one was perhaps meant."""
    known = known_settings(conf)
    section = name.partition(".")[0]
    if name in known and section in groups(conf) and name != section:
        return f"{name} is not a setting of the {section} that was chosen"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    meant = close and close[0] != section
    return f"{name or repr(name)} is not a setting" + (
        f"; did you mean {close[0]}?" if meant else "; --help lists them"
    )


def known_settings(conf: Path) -> list[str]:
    """Every setting with its full name, from all files of conf/."""
    names: set[str] = set()
    for path in conf.glob("**/*.yaml"):
        if path.parent.name == "tuned":
            continue  # settings of other files
        text = path.read_text()
        package = "" if path.parent == conf or "@package _global_" in text else f"{path.parent.name}."
        names |= {package + name for name in _flat(yaml.safe_load(text) or {})}
    return sorted(names | {path.name for path in conf.iterdir() if path.is_dir()})


def _flat(tree: dict[str, Any], prefix: str = "") -> list[str]:
    nested = [
        _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
        for key, value in tree.items()
    ]
    return [name for names in nested for name in names]


def _of_cause(error: BaseException) -> str:
    """What an error came from, in one line."""
    found = first_line(error.__cause__ or error).rstrip(".")
    return "a group of settings holds names and values" if found.startswith("Cannot merge") else found


def _full_key(text: str) -> str:
    match = re.search(r"full_key: (\S+)", text)
    return match[1] if match else ""
