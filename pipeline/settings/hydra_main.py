"""Command lines that ask something of Hydra itself: a multirun, the settings as text, its help, a completion."""

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.base.errors import UserError
from pipeline.base.files import digest
from pipeline.settings.composition import VERSION, check, require_line
from pipeline.settings.messages import one_sentence, sentence
from pipeline.settings.overrides import asked
from pipeline.settings.places import CONF, PARTS
from pipeline.settings.schema import Settings

SEVERAL = {"-m", "--multirun"}
LONGEST = 120  # signs of a folder's name
COMPLETION = {"-sc", "--shell-completion"}  # the words behind it are no overrides


def run_through_hydra(run: Callable[[Settings], None], words: Sequence[str], used: Collection[str] = PARTS) -> None:
    """Run a command line by Hydra's main; raise `UserError` where it is wrong before the stage began."""
    running = False

    def job(config: DictConfig) -> None:
        nonlocal running
        with one_sentence():
            settings = load(config, used)
            running = True
            run(settings)
            running = False

    job.__module__ = run.__module__  # after which Hydra names the job
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing them
    if not COMPLETION & set(words):
        named = [word for word in words if not word.startswith("-") and (word.startswith("~") or "=" in word)]
        require_line(named, several=bool(SEVERAL & set(words)))
    try:
        hydra.main(version_base=VERSION, config_path=str(CONF), config_name="config")(job)()
    except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        if running:
            raise  # not the user's doing
        raise UserError(sentence(error)) from error


def load(config: DictConfig, used: Collection[str] = PARTS) -> Settings:
    """Return the checked settings of a job that Hydra runs."""
    runtime = HydraConfig.get()
    overrides: Any = OmegaConf.to_container(runtime.overrides.task, resolve=False)
    folder = job_folder(overrides) if runtime.mode == RunMode.MULTIRUN else None
    return check(config, dict(runtime.runtime.choices), folder, asked(overrides), used)


def job_folder(overrides: Sequence[str]) -> str:
    """Return a name for one job of a multirun: its overrides, shortened by a digest if they are long."""
    shown = ",".join(sorted(each for each in asked(overrides) if not each.startswith("+experiment=")))
    name = shown.replace("/", "_")
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{digest(shown, digits=8)}"
