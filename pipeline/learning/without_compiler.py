"""Keeps torch's compiler from being imported where nothing is compiled: it is a third of the time that torch takes.

torch.optim imports torch._dynamo to tell it where a compiled program has to stop (`graph_break`) and what it must
leave alone (`disable`), also where no program is compiled; torch 2.13 has no switch against that. So a module that
knows these two answers stands in its place, and makes way for the real one as soon as anything else is asked of it.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class _Waiting(ModuleType):
    """Answers `disable` and `graph_break`; any other question brings the real module."""

    def __getattr__(self, name: str) -> Any:
        special = name.startswith("__") and name != "__path__"  # what tools ask of every module that is there
        if special:
            raise AttributeError(name)
        return getattr(_real(self), name)

    @staticmethod
    def disable(function: Callable[..., Any], *_: object, **__: object) -> Callable[..., Any]:
        """The function as it is: no compiler will look into it."""
        return function

    @staticmethod
    def graph_break() -> None:
        """Nothing: there is no graph."""


def postpone() -> None:
    """Import torch._dynamo only when it is really used; without effect where it is there already."""
    if COMPILER in sys.modules:
        return
    found = find_spec(COMPILER)
    if found is not None:  # as in torch 2.13
        waiting = _Waiting(COMPILER)
        known = vars(module_from_spec(found))
        vars(waiting).update({name: value for name, value in known.items() if name != "__path__"})
        sys.modules[COMPILER] = waiting


def _real(waiting: ModuleType) -> ModuleType:
    if sys.modules.get(COMPILER) is waiting:
        del sys.modules[COMPILER]
    return import_module(COMPILER)
