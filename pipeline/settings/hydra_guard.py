"""What Hydra may be told: how a multirun goes, and nothing that makes objects or reads other files.

Hydra makes objects from what stands below `hydra`, and reads a pickle where it is asked to run a job again. So of its
own settings and flags a command takes a few, and no file of conf/ may hold others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.base.errors import UserError, require, shown
from pipeline.base.trees import flatten
from pipeline.settings.overrides import did_you_mean

OURS = ("hydra.output_subdir", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
OUR_SWEEPS = ("hydra.sweeper.params", "hydra.sweeper.max_batch_size")  # and what lies below
QUIET = "override hydra/hydra_logging", "override hydra/job_logging"  # in config.yaml, whose value is `disabled`
FLAGS = """
    -m --multirun -h --help --hydra-help --version -c --cfg --resolve -p --package -r --run -i --info
    -sc --shell-completion
"""  # Hydra's, without those that read other files
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


def require_plain_hydra(words: Sequence[str], conf: Path) -> None:
    """Raise `UserError` where a command line or a file of conf/ tells Hydra to make, or to read, what it likes."""
    for word in words:
        name = word.partition("=")[0]
        if word.startswith("-") and name not in FLAGS.split():
            rule = f"{name} is not an option here, and settings come from conf/; got {shown(word)}"
            raise UserError(f"{rule}{did_you_mean(name, FLAGS.split())}")
        override = "=" in word or word.startswith("~")
        rule = f"is not a setting; of Hydra's own there are {', '.join((*OURS, *OUR_SWEEPS))}"
        require(not override or _harmless(name.lstrip("+~")), name.lstrip("+~"), rule, word)
    for path in sorted(conf.rglob("*.yaml")):
        for name in _of_hydra(path):
            require(_harmless(name), f"{path}: {name}", "may not stand in a file of settings", name)


def _harmless(name: str) -> bool:
    """Return True unless a name is one of Hydra's settings or groups, save ours: `hydra.run.dir`, not `x@hydra.y`."""
    if not re.search(r"(^|[@:/.\s])hydra\b", name):
        return True
    return name in OURS or any(name == each or name.startswith(f"{each}.") for each in OUR_SWEEPS)


def read_conf(path: Path) -> str:
    """Return the text of a file of settings; raise `UserError` where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}, must be text in UTF-8; got {error.object[error.start : error.end]!r}"
        ) from error


def _of_hydra(path: Path) -> Iterator[str]:
    """Yield what a file says to Hydra: in its settings, in its list of defaults, in the package that its head names."""
    text = read_conf(path)
    if "hydra" not in text and "\\" not in text:
        return
    yield from (f"@{package}" for package in re.findall(r"@package\s+(\S+)", text))
    try:
        content = yaml.load(text, Loader)  # safe: both loaders make plain values only
    except yaml.YAMLError:
        return  # Hydra says what is wrong with it
    if not isinstance(content, Mapping):
        return
    yield from flatten({"hydra": content["hydra"]} if "hydra" in content else {})
    for entry in content.get("defaults") or ():
        for name, option in entry.items() if isinstance(entry, Mapping) else [(str(entry), None)]:
            if not (str(name) in QUIET and option == "disabled"):
                yield str(name)
