"""What a `_target_` may name: parts of this project, of torch.optim and of Optuna, so that no setting can run code."""

from importlib import import_module
from inspect import isabstract
from pkgutil import resolve_name
from typing import Any

import yaml

from pipeline.base.errors import UserError, first_line, require, where
from pipeline.settings.places import CONF

TRUSTED = ("pipeline.", "torch.optim.", "optuna.samplers.")  # where a `_target_` may lie
BASES = {  # what a part is derived from, by the setting that holds its `_target_`
    "task": "pipeline.tasks.task.Task",
    "cell": "pipeline.cells.cell.Cell",
    "optimizer": "torch.optim.Optimizer",
    "sampler": "optuna.samplers.BaseSampler",
    "tune.sampler": "optuna.samplers.BaseSampler",
    "executor": "concurrent.futures.Executor",
}


def trusted(target: str, name: str) -> Any:
    """Return the class, or the method of a class that makes one, that a `_target_` names.

    Raises `UserError` if it does not exist, is not defined in a trusted place, or is no part of the wanted kind.
    """
    setting, rule = f"{name}._target_", f"must begin with {' or '.join(TRUSTED)}"
    require(target.startswith(TRUSTED), setting, rule, target)
    found = _imported(target, setting)
    kind, base = found if isinstance(found, type) else getattr(found, "__self__", None), resolve_name(BASES[name])
    fits = callable(found) and isinstance(kind, type) and issubclass(kind, base)
    defined = all(f"{getattr(each, '__module__', '')}.".startswith(TRUSTED) for each in (found, kind))
    require(fits and defined, setting, f"{rule}, and must be a kind of {base.__name__} that is defined there", target)
    require(not isabstract(found) and found is not base, setting, "must be a class that can be used as it is", target)
    return found


def trusted_class(target: Any, setting: str, base: type) -> type:
    """Return the class that a setting names, one of torch.nn or of a package that conf/trust.yaml names.

    Raises `UserError` if it does not exist, is not defined there, or is not derived from `base`.
    """
    packages = yaml.safe_load((CONF / "trust.yaml").read_text(encoding="utf-8"))["packages"]
    places = tuple(f"{package}." for package in ("torch.nn", *packages))
    rule = f"must begin with {' or '.join(places)} (other packages need a line in conf/trust.yaml)"
    require(isinstance(target, str) and target.startswith(places), setting, rule, target)
    found = _imported(target, setting)
    fits = isinstance(found, type) and issubclass(found, base) and f"{found.__module__}.".startswith(places)
    require(fits, setting, f"must be a kind of {base.__name__} that is defined in {' or '.join(places)}", target)
    kind: type = found
    return kind


def _imported(target: str, setting: str) -> Any:
    """Return what a name stands for; raise `UserError` if it can't be found or imported."""
    try:
        return _find(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{setting} can't be found: {first_line(error)}; got {target!r}") from error
    except (Exception, SystemExit) as error:  # of the file itself: a syntax error, a name that is not defined, exit()
        reason = f"{type(error).__name__}: {first_line(error)} ({where(error)})"
        raise UserError(f"{setting} can't be imported, {reason}; got {target!r}") from error


def _find(target: str) -> Any:
    """Return what the name stands for; where its module can't be imported, raise what the module raised."""
    try:
        import_module(target.rpartition(".")[0])
    except ModuleNotFoundError as error:
        if not (error.name and f"{target}.".startswith(f"{error.name}.")):
            raise  # something else that the module needs
    return resolve_name(target)
