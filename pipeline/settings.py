"""From conf/ and the command line to checked settings and built parts; the only place that knows Hydra.

A stage is a function of `Settings`, made a command by `@stage`: it composes conf/, builds the parts, and turns whatever
the user got wrong into one sentence and exit status 2.
"""

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra.utils import get_class, get_method, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import messages
from pipeline.errors import UserError, require
from pipeline.horizon.options import SearchOptions
from pipeline.learning.training import Training
from pipeline.tasks.task import Task

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PARTS = ("task", "cell", "optimizer", "sampler", "executor")  # groups of conf/ with one part a file
TRUSTED = ("pipeline.", "torch.optim.", "optuna.samplers.")  # where a `_target_` may lie: configuration can't run code

Section = TypeVar("Section")


@dataclass
class Data:
    """The held-out sequences."""

    seed: int
    held_out: int

    def check(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        require(0 <= self.seed < 2**63, "data.seed", "must be from 0 to 2^63 - 1", self.seed)
        require(self.held_out >= 1, "data.held_out", "must be at least 1", self.held_out)


@dataclass
class Tracking:
    """Where runs are shown."""

    enabled: bool
    port: int

    def check(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        require(1024 <= self.port < 65536, "tracking.port", "must be from 1024 to 65535", self.port)


@dataclass
class Paths:
    """Where files go: relative to the project, or absolute."""

    data: str
    results: str
    state: str | None

    def check(self) -> None:
        """Raise `UserError` where a path is empty."""
        require(bool(self.data), "paths.data", "must be a folder", self.data)
        require(bool(self.results), "paths.results", "must be a folder", self.results)


@dataclass(frozen=True)
class Settings:
    """Everything that a stage may ask for. Parts are made when they are asked for, so that a stage imports no more."""

    data: Data
    training: Training
    search: SearchOptions
    tracking: Tracking
    names: Mapping[str, str]  # what was chosen in each group of conf/: {"task": "adding", "cell": "rnn", …}
    tree: Mapping[str, Any]  # all settings as plain values
    paths: Paths
    folder: str | None  # of this job of a multirun, below results/multirun

    @property
    def task(self) -> Task:
        """The task."""
        task: Task = self.part("task")
        return task

    def part(self, group: str, **arguments: Any) -> Any:
        """The part that was chosen in a group of conf/."""
        return build(self.tree[group], group, **arguments)

    @property
    def pair(self) -> str:
        """TASK-CELL, the name under which results are filed."""
        return f"{self.names['task']}-{self.names['cell']}"

    @property
    def data_folder(self) -> Path:
        """The folder of the task's held-out sequences."""
        return ROOT / self.paths.data / self.names["task"]

    @property
    def results(self) -> Path:
        """The folder of all results."""
        return ROOT / self.paths.results

    def results_of(self, name: str) -> Path:
        """The folder of a stage's results for this pair; the jobs of a multirun have one each."""
        if self.folder is not None:
            return self.results / "multirun" / name / self.pair / self.folder
        return self.results / name / self.pair

    @property
    def state(self) -> Path:
        """The folder of what is no result of a stage: stores, which outlive a rerun and a copy of the project."""
        return Path(self.paths.state) if self.paths.state else Path(os.environ.get("DVC_ROOT", ROOT))


def stage(run: Callable[[Settings], None]) -> Callable[[], None]:
    """Make a function of `Settings` a command."""

    def job(config: DictConfig) -> None:
        try:
            run(load(config))
        except UserError as error:
            messages.fail(str(error))

    job.__module__ = run.__module__

    def command() -> None:
        if {"-h", "--help"} & set(sys.argv[1:]):
            print(messages.help_text(run, CONF))
            return
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing them
        signal.signal(signal.SIGTERM, _terminate)
        try:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
        except (HydraException, OmegaConfBaseException) as error:
            messages.fail(messages.sentence(error, CONF))
        except KeyboardInterrupt:
            messages.fail("stopped; the same command goes on from the last finished trial", status=130)

    command.__doc__ = run.__doc__
    return command


def load(config: DictConfig) -> Settings:
    """Check a composed configuration; raises `UserError` for the first wrong value."""
    runtime = HydraConfig.get()
    multirun = runtime.mode == RunMode.MULTIRUN
    names = {group: runtime.runtime.choices[group] for group in PARTS}
    return check(config, names, runtime.job.override_dirname if multirun else None)


def check(config: DictConfig, names: Mapping[str, str], folder: str | None = None) -> Settings:
    """As `load`, for a configuration composed by other means."""
    try:
        tree: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(messages.sentence(error, CONF)) from error
    known = {"data": Data, "training": Training, "search": SearchOptions, "tracking": Tracking, "paths": Paths}
    sections = {name: section(name, kind, tree[name]) for name, kind in known.items()}
    for group in ("task", "cell"):
        build(tree[group], group)
    return Settings(**sections, names=names, tree=tree, folder=folder)


def section(name: str, kind: type[Section], values: Mapping[str, Any]) -> Section:
    """The typed, checked settings of one section."""
    made = typed(name, kind, values)
    made.check()  # type: ignore[attr-defined]
    return made


def typed(name: str, kind: type[Section], values: Mapping[str, Any]) -> Section:
    """`kind(**values)` with the types of its fields enforced; raises `UserError` that names `name`.field."""
    schema = OmegaConf.structured(kind)
    OmegaConf.set_readonly(schema, False)
    try:
        merged = OmegaConf.merge(schema, values)
        plain: Any = OmegaConf.to_container(merged, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(messages.sentence(error, CONF, prefix=name)) from error
    return kind(**plain)


def build(values: Mapping[str, Any], name: str, **arguments: Any) -> Any:
    """The part that `_target_` names, made from the other values; raises `UserError` where they do not fit."""
    target = str(values.get("_target_", ""))
    require(target.startswith(TRUSTED), f"{name}._target_", f"must begin with {' or '.join(TRUSTED)}", target)
    given = {key: value for key, value in values.items() if key not in ("_target_", "_partial_")}
    try:
        kind = get_class(target) if target.rpartition(".")[2][:1].isupper() else get_method(target)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return typed(name, kind, given | arguments)
        return instantiate({**values, **arguments})
    except (HydraException, ImportError, TypeError, ValueError) as error:
        raise UserError(
            f"{name} can't be built from {target}: {messages.first_line(error.__cause__ or error)}"
        ) from error


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
