"""What a command says to `--help`."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.settings.places import CONF, groups, options


def name_of_command(run: Callable[..., Any]) -> str:
    """Return the word by which a command is called: `search` of `python -m pipeline.search`."""
    word = run.__module__.rpartition(".")[2]
    return word if word != "__main__" else Path(sys.argv[0]).stem


def help_text(run: Callable[..., Any]) -> str:
    """Return what a command does, the options of each group, and every setting with its comment."""
    module = sys.modules[run.__module__]
    listed = "\n".join(f"  {group}={'|'.join(options(group))}" for group in groups())
    name = name_of_command(run)
    experiments = "|".join(options("experiment"))
    own = CONF / f"{name}.yaml"  # of this command alone
    return "\n".join(
        [
            inspect.cleandoc(module.__doc__ or ""),
            "",
            "Parts, one file each in conf/; change a value inside with e.g. cell.hidden=64:",
            listed + (f"\n  +experiment={experiments}  a published setting" if experiments else ""),
            "",
            "Settings (conf/config.yaml; a task's own file in conf/task/ may give another value):",
            _settings(),
            *(
                [f"\nSettings of this command (conf/{own.name}):", _indented(own.read_text(encoding="utf-8"))]
                if own.exists()
                else []
            ),
            "",
            "-m a=1,2 b=x,y runs every combination. --cfg job prints the settings; --hydra-help has Hydra's own flags.",
            f'Completion: eval "$(horizon-{name} -sc install=bash)", then horizon-{name} task=<TAB>; or zsh, fish.',
            "Ends with 0; 2: a setting or file is wrong; 130: interrupted; 1: a fault of the program.",
        ]
    )


def _settings() -> str:
    """Return config.yaml without its head and tail, which are Hydra's."""
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    return _indented(text[text.index("\ndata:") : text.index("\nhydra:")])


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.strip().splitlines())
