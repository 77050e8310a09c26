"""What a configuration may name, so that it can't run code: parts of this project, of torch.optim and of Optuna.

Hydra makes objects too, from what stands below `hydra`, and reads a pickle where it is asked to run a job again. So of
Hydra's own settings and flags a command takes those that say how a multirun goes, and no file of conf/ may hold others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import yaml

from pipeline.base.errors import UserError, first_line, require, where

TRUSTED = ("pipeline.", "torch.optim.", "optuna.samplers.")  # where a `_target_` may lie
BASES = {  # what a part is derived from, by the setting that holds its `_target_`
    "task": "pipeline.tasks.task.Task",
    "cell": "pipeline.cells.cell.Cell",
    "optimizer": "torch.optim.Optimizer",
    "sampler": "optuna.samplers.BaseSampler",
    "tune.sampler": "optuna.samplers.BaseSampler",
    "executor": "concurrent.futures.Executor",
}
OURS = ("hydra.output_subdir", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.verbose")
OUR_SWEEPS = ("hydra.sweeper.params", "hydra.sweeper.max_batch_size")  # and what lies below
QUIET = "override hydra/hydra_logging", "override hydra/job_logging"  # in config.yaml, whose value is `disabled`
FLAGS = "-m --multirun -h --help --hydra-help --version -c --cfg --resolve -p --package -r --run -i --info -sc"
"""Hydra's, without those that read other files."""
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


def trusted(target: str, name: str) -> Any:
    """The class, or the method of a class that makes one, that a `_target_` names.

    Raises `UserError` where it is not there, not defined in a trusted place, or no part of the kind that is wanted.
    """
    setting, rule = f"{name}._target_", f"must begin with {' or '.join(TRUSTED)}"
    require(target.startswith(TRUSTED), setting, rule, target)
    try:
        found = _find(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{setting} can't be found: {first_line(error)}; got {target!r}") from error
    except Exception as error:  # whatever the part's own file raises: a syntax error, a name that is not defined
        reason = f"{type(error).__name__}: {first_line(error)} ({where(error)})"
        raise UserError(f"{setting} can't be imported, {reason}; got {target!r}") from error
    kind, base = found if isinstance(found, type) else getattr(found, "__self__", None), resolve_name(BASES[name])
    fits = callable(found) and isinstance(kind, type) and issubclass(kind, base)
    defined = all(f"{getattr(each, '__module__', '')}.".startswith(TRUSTED) for each in (found, kind))
    require(fits and defined, setting, f"{rule}, and must be a kind of {base.__name__} that is defined there", target)
    require(not isabstract(found) and found is not base, setting, "must be a class that can be used as it is", target)
    return found


def _find(target: str) -> Any:
    """Return what the name stands for; where its module can't be imported, raise what the module raised."""
    try:
        import_module(target.rpartition(".")[0])
    except ModuleNotFoundError as error:
        if not (error.name and f"{target}.".startswith(f"{error.name}.")):
            raise  # something else that the module needs
    return resolve_name(target)


def require_plain_hydra(words: Sequence[str], conf: Path) -> None:
    """Raise `UserError` where a command line or a file of conf/ tells Hydra to make, or to read, what it likes."""
    for word in words:
        name = word.partition("=")[0]
        known = not word.startswith("-") or name in FLAGS.split()
        require(known, name, "is not an option here, and settings come from conf/", word)
        override = "=" in word or word.startswith("~")
        rule = f"is not a setting; of Hydra's own there are {', '.join((*OURS, *OUR_SWEEPS))}"
        require(not override or _harmless(name.lstrip("+~")), name.lstrip("+~"), rule, word)
    for path in sorted(conf.rglob("*.yaml")):
        for name in _of_hydra(path):
            require(_harmless(name), f"{path}: {name}", "may not stand in a file of settings", name)


def _harmless(name: str) -> bool:
    """Whether something is none of Hydra's settings and groups, or one of ours: `hydra.run.dir`, not `x@hydra.y`."""
    if not re.search(r"(^|[@:/.\s])hydra\b", name):
        return True
    return name in OURS or any(name == each or name.startswith(f"{each}.") for each in OUR_SWEEPS)


def _of_hydra(path: Path) -> Iterator[str]:
    """What a file says to Hydra: in its settings, in its list of defaults, in the package that its head names."""
    text = path.read_text()
    if "hydra" not in text and "\\" not in text:
        return
    yield from (f"@{package}" for package in re.findall(r"@package\s+(\S+)", text))
    try:
        content = yaml.load(text, Loader)  # safe: both loaders make plain values only
    except yaml.YAMLError:
        return  # Hydra says what is wrong with it
    if not isinstance(content, Mapping):
        return
    yield from _names({"hydra": content["hydra"]} if "hydra" in content else {})
    for entry in content.get("defaults") or ():
        for name, option in entry.items() if isinstance(entry, Mapping) else [(str(entry), None)]:
            if not (str(name) in QUIET and option == "disabled"):
                yield str(name)


def _names(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Every setting by its full name, down to what is not a group."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _names(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
