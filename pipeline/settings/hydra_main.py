"""Command lines that ask something of Hydra itself: a multirun, the settings as text, its help, a completion."""

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.base.errors import UserError
from pipeline.settings.composition import VERSION, check, require_line
from pipeline.settings.destination import folder_name
from pipeline.settings.help import name_of_command
from pipeline.settings.messages import exit_on_user_error, sentence
from pipeline.settings.overrides import asked
from pipeline.settings.places import CONF, PARTS
from pipeline.settings.schema import Settings

SEVERAL = {"-m", "--multirun"}
COMPLETION = {"-sc", "--shell-completion"}  # the words behind it are no overrides
RECORD = "hydra.sweep.dir"  # where Hydra writes what a multirun is


def run_through_hydra(run: Callable[[Settings], None], words: Sequence[str], used: Collection[str] = PARTS) -> None:
    """Run a command line by Hydra's main; raise `UserError` where it is wrong before the stage began.

    Of a multirun every job is checked before the first one starts.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing them
    if not COMPLETION & set(words):
        named = [word for word in words if _is_override(word)]
        require_line(named, several=bool(SEVERAL & set(words)))
    with _hydras_record(words):
        if {word for word in words if word.startswith("-")} <= SEVERAL:
            _require_jobs(run.__module__, used)
        _run_jobs(run, used)


def _require_jobs(module: str, used: Collection[str]) -> None:
    """Raise `UserError` with all that is wrong with the jobs of a command line, each named by what is its own."""
    jobs: list[tuple[list[str], str]] = []  # words, and a sentence where something is wrong

    def job(config: DictConfig) -> None:
        words = asked(HydraConfig.get().overrides.task)
        try:
            load(config, used)
            jobs.append((words, ""))
        except UserError as error:
            jobs.append((words, str(error)))

    _main(job, module)
    wrong = [(words, error) for words, error in jobs if error]
    if len(jobs) == 1 and wrong:
        raise UserError(wrong[0][1])
    shared = set.intersection(*(set(words) for words, _ in jobs)) if jobs else set()
    if wrong:
        told = (f"{' '.join(word for word in words if word not in shared)}: {error}" for words, error in wrong)
        raise UserError(f"none of {len(jobs)} jobs was started, for {len(wrong)} can't run; {'; '.join(told)}")


def _run_jobs(run: Callable[[Settings], None], used: Collection[str]) -> None:
    def job(config: DictConfig) -> None:
        with exit_on_user_error(name_of_command(run)):
            run(load(config, used))

    _main(job, run.__module__)


def _main(job: Callable[[DictConfig], None], module: str) -> None:
    """Do a job for each configuration of the command line; raise `UserError` where Hydra can't make one."""
    inside = False

    def one(config: DictConfig) -> None:
        nonlocal inside
        inside = True
        job(config)
        inside = False

    one.__module__ = module  # after which Hydra names the job
    try:
        hydra.main(version_base=VERSION, config_path=str(CONF), config_name="config")(one)()
    except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        if inside:
            raise  # not the user's doing
        raise UserError(sentence(error)) from error


@contextmanager
def _hydras_record(words: Sequence[str]) -> Iterator[None]:
    """Let Hydra write its record of a multirun to a folder that is gone afterwards, unless the user names another.

    Hydra always writes one, and would to the folder in which the command was typed.
    """
    if not SEVERAL & set(words) or any(word.startswith(f"{RECORD}=") for word in words):
        yield
        return
    line = sys.argv
    first = next((at for at, word in enumerate(line) if word in words and _is_override(word)), len(line))
    with tempfile.TemporaryDirectory(prefix="multirun-") as place:
        sys.argv = [*line[:first], f"{RECORD}='{place}'", *line[first:]]  # argparse takes overrides side by side only
        try:
            yield
        finally:
            sys.argv = line


def _is_override(word: str) -> bool:
    return not word.startswith("-") and (word.startswith("~") or "=" in word)


def load(config: DictConfig, used: Collection[str] = PARTS) -> Settings:
    """Return the checked settings of a job that Hydra runs."""
    runtime = HydraConfig.get()
    overrides: Any = OmegaConf.to_container(runtime.overrides.task, resolve=False)
    folder = folder_name(overrides) if runtime.mode == RunMode.MULTIRUN else None
    return check(config, dict(runtime.runtime.choices), folder, asked(overrides), used)
