"""From conf/ and the command line to checked settings and built parts; the only place that knows Hydra.

A stage is a function of `Settings`, made a command by `@stage`: it composes conf/, builds the parts, and turns whatever
the user got wrong into one sentence and exit status 2.
"""

import dataclasses
import errno
import gc
import hashlib
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from math import isinf
from pathlib import Path
from types import FrameType, NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.base.errors import UserError, first_line, require, where
from pipeline.base.sqlite import require_store
from pipeline.cells.check import require_sound
from pipeline.horizon.options import SearchOptions
from pipeline.learning.optimizer import require_rowwise
from pipeline.learning.options import TrainingOptions
from pipeline.learning.regularizer import require_served
from pipeline.settings import memory, messages
from pipeline.settings.trust import require_plain_hydra, trusted
from pipeline.tasks.task import Task
from pipeline.tuning.options import TuneOptions

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PARTS = ("task", "cell", "optimizer", "sampler", "executor")  # groups of conf/ with one part a file
WHOLE = 2**63  # whole numbers stay below, in size: numpy and torch have no larger ones
LARGEST = 3.4e38  # the same of other numbers: a float32 has no larger ones
SMALLEST = 2.3e-308  # of those that are not 0: a training takes denormal ones for 0
BOUNDLESS = ("training.clip",)  # may be infinite
MOST = 1024  # processes and threads that an executor may be asked for
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
# by the disk: no mistake of ours
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

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
class Sweep:
    """Which searches `sweep` runs side by side."""

    tasks: Any  # a list of words, or None
    cells: Any

    def check(self) -> None:
        """Raise `UserError` where a word is not the name of a task or cell."""
        for group, words in (("task", self.tasks), ("cell", self.cells)):
            known = messages.options(CONF, group)
            kept = words is None or (isinstance(words, list) and words != [] and all(word in known for word in words))
            require(kept, f"sweep.{group}s", f"must be null, or a list of {', '.join(known)}", words)

    def pairs(self) -> list[tuple[str, str]]:
        """Every task with every cell."""
        grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
        return [(task, cell) for task in self.tasks or grid["tasks"] for cell in self.cells or grid["cells"]]


@dataclass
class Retune:
    """How often `retune` chooses settings again."""

    choices: int

    def check(self) -> None:
        """Raise `UserError` where a value is out of its range."""
        require(1 <= self.choices <= MOST, "retune.choices", f"must be from 1 to {MOST}", self.choices)


@dataclass
class Paths:
    """Where files go: relative to the project, or absolute."""

    data: str
    results: str
    state: str | None
    tuned: str = "conf/tuned"

    def check(self) -> None:
        """Raise `UserError` where a path is empty."""
        require(bool(self.tuned), "paths.tuned", "must be a folder", self.tuned)
        require(bool(self.data), "paths.data", "must be a folder", self.data)
        require(bool(self.results), "paths.results", "must be a folder", self.results)


SECTIONS = {
    "data": Data,
    "training": TrainingOptions,
    "search": SearchOptions,
    "sweep": Sweep,
    "tracking": Tracking,
    "paths": Paths,
}


ELSEWHERE = ("paths", "tracking")  # sections that say where things go, which no command repeats


@dataclass(frozen=True)
class Settings:
    """Everything that a stage may ask for. Parts are made when they are asked for, so that a stage imports no more."""

    data: Data
    training: TrainingOptions
    search: SearchOptions
    sweep: Sweep
    tracking: Tracking
    names: Mapping[str, str]  # what was chosen in each group of conf/: {"task": "adding", "cell": "rnn", …}
    tree: Mapping[str, Any]  # all settings as plain values
    paths: Paths
    tune: TuneOptions
    retune: Retune
    folder: str | None = None  # of this job of a multirun, below its results
    experiment: str | None = None  # what `+experiment=` names; its results have a folder of their own
    overrides: Sequence[str] = ()  # of the command line, without where things go
    tuned: Mapping[str, Any] | None = None  # where tuned settings come from, where they are in use

    @property
    def task(self) -> Task:
        """The task."""
        task: Task = self.part("task")
        return task

    @property
    def address(self) -> str:
        """Where `make ui` shows the runs."""
        return f"http://127.0.0.1:{self.tracking.port}"

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings that decide a result: not where it runs and things go, on how many threads, or whether anew."""
        elsewhere = ("paths", "tracking", "executor", "sweep")
        tree = {name: values for name, values in self.tree.items() if name not in elsewhere}
        for section, name in (("training", "threads"), ("search", "fresh")):
            tree[section] = {key: value for key, value in tree[section].items() if key != name}
        written: dict[str, Any] = _as_json(tree)
        return written

    @property
    def fixed(self) -> frozenset[str]:
        """What the command line names: settings and groups."""
        return frozenset(map(name_of, self.overrides))

    def command(self, name: str) -> str:
        """The command line that asks a stage for the very same again."""
        words = [f"{group}={self.names[group]}" for group in ("task", "cell")]
        words += [word for word in self.overrides if word not in words]
        return shlex.join(["python", "-m", f"pipeline.{name}", *words])

    def part(self, group: str, **arguments: Any) -> Any:
        """The part that was chosen in a group of conf/."""
        return build(self.tree[group], group, **arguments)

    @property
    def pair(self) -> str:
        """TASK-CELL, the name under which results are filed."""
        return f"{self.names['task']}-{self.names['cell']}"

    @property
    def title(self) -> str:
        """The name of the experiment, or TASK-CELL."""
        return self.experiment or self.pair

    @property
    def tags(self) -> dict[str, str]:
        """What a run is found by: task, cell, and the experiment if there is one."""
        named = {"experiment": self.experiment} if self.experiment else {}
        return {"task": self.names["task"], "cell": self.names["cell"], **named}

    @property
    def data_folder(self) -> Path:
        """The folder of the task's held-out sequences."""
        return ROOT / self.paths.data / self.names["task"]

    @property
    def results(self) -> Path:
        """The folder of all results."""
        return ROOT / self.paths.results

    def results_of(self, name: str) -> Path:
        """The folder of a stage's results for this pair or experiment; the jobs of a multirun have one each."""
        if self.experiment is not None:
            return self.results / "experiment" / self.experiment / name / (self.folder or "")
        if self.folder is not None:
            return self.results / "multirun" / name / self.pair / self.folder
        return self.results / name / self.pair

    def require_runs(self) -> None:
        """Raise `UserError` where runs go to a file of ours that is no database of them."""
        if self.tracking.enabled and not os.environ.get("MLFLOW_TRACKING_URI"):
            require_store(self.state / "mlflow.db", "experiments")

    @property
    def state(self) -> Path:
        """The folder of what is no result of a stage: stores, which outlive a rerun and a copy of the project."""
        return ROOT / (self.paths.state or os.environ.get("DVC_ROOT") or "")


def stage(run: Callable[[Settings], None]) -> Callable[[], None]:
    """Make a function of `Settings` a command."""
    running = False

    def job(config: DictConfig) -> None:
        nonlocal running
        running = True
        try:
            run(load(config))
        except UserError as error:
            messages.fail(str(error))
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            messages.fail(f"{error.filename or 'a file'} can't be written: {error.strerror}; what was there is kept")
        running = False

    job.__module__ = run.__module__
    if not gc.isenabled():  # see pipeline/__init__.py: everything is imported now, and stays
        gc.freeze()
        gc.enable()

    def command() -> None:
        nonlocal running
        running = False
        if {"-h", "--help"} & set(sys.argv[1:]):
            print(messages.help_text(run, CONF))
            return
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing them
        signal.signal(signal.SIGTERM, _terminate)
        try:
            require_plain_hydra(sys.argv[1:], CONF)
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
        except UserError as error:
            messages.fail(str(error))
        except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
            if running:
                raise  # not the user's doing
            messages.fail(messages.sentence(error, CONF))
        except KeyboardInterrupt:
            messages.fail("stopped before the end; finished trials of a search are kept", status=130)

    command.__doc__ = run.__doc__
    return command


def compose(*overrides: str) -> Settings:
    """Checked settings, as a command with these overrides gets them; also while a command runs."""
    ready = GlobalHydra.instance().is_initialized()
    with nullcontext() if ready else hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = hydra.compose("config", [*overrides], return_hydra_config=True)
    names = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return check(config, names, overrides=asked(overrides))


def load(config: DictConfig) -> Settings:
    """Check a composed configuration; raises `UserError` for the first wrong value."""
    runtime = HydraConfig.get()
    multirun = runtime.mode == RunMode.MULTIRUN
    names = {group: runtime.runtime.choices.get(group) for group in (*PARTS, "experiment")}
    overrides: Any = OmegaConf.to_container(runtime.overrides.task, resolve=False)
    several = [each for each in overrides if each.startswith("+experiment=[")]
    require(not several, "experiment", "is one name, for it names the results", "".join(several))
    return check(config, names, job_folder(overrides) if multirun else None, asked(overrides))


def asked(overrides: Sequence[str]) -> list[str]:
    """What a command line overrides, without where things go."""
    return [each for each in overrides if not each.startswith(tuple(f"{name}." for name in ELSEWHERE))]


def name_of(override: str) -> str:
    """What an override names: `training.clip` of `++training.clip=2`."""
    return re.split("[=@]", override.lstrip("+~"))[0]


def grid(settings: Settings) -> list[Settings]:
    """The same settings for each pair of a sweep, as the command of one pair would get them."""
    require(settings.experiment is None, "experiment", "names one pair, so it is for search", settings.experiment)
    given = [each for each in settings.overrides if each.partition("=")[0] not in ("task", "cell")]
    found = []
    for task, cell in settings.sweep.pairs():
        config = hydra.compose("config", [*given, f"task={task}", f"cell={cell}"], return_hydra_config=True)
        names = {group: config.hydra.runtime.choices.get(group) for group in PARTS}
        with open_dict(config):
            del config["hydra"]
            config.update({name: settings.tree[name] for name in ELSEWHERE})
        found.append(check(config, names, settings.folder, given))
    return found


def job_folder(overrides: Sequence[str]) -> str:
    """A name for one job of a multirun: what it overrides, without where things go; a digest where that is long."""
    shown = ",".join(sorted(each for each in asked(overrides) if not each.startswith("+experiment=")))
    name = shown.replace("/", "_")
    return name if len(name) <= 120 else f"{name[:120]}-{hashlib.sha256(shown.encode()).hexdigest()[:8]}"


def check(
    config: DictConfig, names: Mapping[str, str | None], folder: str | None = None, overrides: Sequence[str] = ()
) -> Settings:
    """As `load`, for a configuration composed by other means."""
    for group in PARTS:
        require(names[group] is not None, group, f"must be one of {', '.join(messages.options(CONF, group))}", None)
    try:
        tree: Any = _with_infinities(OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise UserError(messages.sentence(error, CONF)) from error
    for group in PARTS:
        require(isinstance(tree.get(group), Mapping), group, "is a group of settings", tree.get(group))
    # of one stage each, so that no other shows or keeps them
    tune, retune = (
        section("tune", TuneOptions, tree.pop("tune", None)),
        section("retune", Retune, tree.pop("retune", None)),
    )
    for name in tree:
        if name not in (*SECTIONS, *PARTS):
            raise UserError(messages.unknown(name, CONF))
    sections: dict[str, Any] = {name: section(name, kind, tree.get(name)) for name, kind in SECTIONS.items()}
    chosen = {group: str(names[group]) for group in PARTS}
    given: dict[str, Any] = {"experiment": names.get("experiment"), "overrides": tuple(overrides)}
    settings = Settings(**sections, names=chosen, tree=tree, folder=folder, tune=tune, retune=retune, **given)
    check_parts(settings)
    return settings


def check_parts(settings: Settings) -> None:
    """Raise `UserError` where a part can't be made, or does not fit the other settings or this machine."""
    cell, executor, task, training = settings.part("cell"), settings.part("executor"), settings.task, settings.training
    require_sound(cell, task.channels, training.length)
    require_served(training.regularizer, cell)
    require_optimizer(settings.part("optimizer"))
    for name in ("workers", "threads"):
        count = getattr(executor, name, 1)
        require(count <= MOST, f"executor.{name}", f"must be at most {MOST}", count)
    for name, length in (
        ("training.length", training.length),
        ("training.shortest", training.shortest or task.shortest),
        *(("training.test_lengths", each) for each in training.test_lengths),
        ("search.length_min", settings.search.length_min),
    ):
        rule = f"must be at least {task.shortest} for the task {settings.names['task']}"
        require(length >= task.shortest, name, rule, length)
    require_memory(settings, cell.hidden)


def require_optimizer(make: Callable[..., Any]) -> None:
    """Raise `UserError` where torch can't use the optimizer, whatever it says then."""
    try:
        require_rowwise(make)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"optimizer can't be used: {first_line(error)}") from error


def require_memory(settings: Settings, hidden: int) -> None:
    """Raise `UserError` where held-out sequences or an update can't fit into memory; see `room`."""
    task, train, search, count = settings.task, settings.training, settings.search, settings.data.held_out
    for name, length in (
        ("training.length", train.length),
        ("search.length_max", search.length_max),
        *(("training.test_lengths", each) for each in train.test_lengths),
    ):
        memory.require_room(memory.held_out(task, length, count), {"data.held_out": count, name: length})
    elsewhere = train.device != "cpu" or settings.tree["executor"].get("address") is not None
    same = {"training.batch": train.batch, "cell.hidden": hidden}
    for section, name, length, replicas in (
        ("training", "training.length", train.length, train.replicas),
        ("search", "search.length_max", search.length_max, search.replicas),
    ):
        needed = memory.training(task, length, replicas, train.batch, hidden)
        memory.require_room(needed, {f"{section}.replicas": replicas, name: length, **same}, elsewhere)


def section(name: str, kind: type[Section], values: Any) -> Section:
    """The typed, checked settings of one section."""
    made = typed(name, kind, values)
    made.check()  # type: ignore[attr-defined]
    return made


def typed(name: str, kind: type[Section], values: Any) -> Section:
    """`kind(**values)` with the types of its fields enforced; raises `UserError` that names `name`.field."""
    require(isinstance(values, Mapping), name, "is a group of settings", values)
    fields, hints = signature(kind).parameters, get_type_hints(kind)
    for field in values:
        if field not in fields:
            raise UserError(messages.unknown(f"{name}.{field}", CONF))
    for field, parameter in fields.items():
        if field not in values and parameter.default is parameter.empty:
            raise UserError(f"{name}.{field} must have a value")
    return kind(**{field: of_type(f"{name}.{field}", value, hints[field]) for field, value in values.items()})


def of_type(name: str, value: Any, kind: Any) -> Any:
    """The value, a whole number as float where a float is wanted; raises `UserError` where it has another type."""
    if get_origin(kind) is Mapping:
        require(isinstance(value, Mapping), name, "is a group of settings", value)
        return value
    allowed = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if not set(allowed) <= set(KINDS):
        return value  # a class that wants something else checks it itself
    words = " or ".join(KINDS[each] for each in allowed)
    if type(value) is int and {int, float} & set(allowed):
        require(abs(value) < WHOLE, name, f"must be {words}, below 2^63 in size", value)
        return value if int in allowed else float(value)
    require(type(value) in allowed and value == value, name, f"must be {words}", value)  # nan equals nothing
    small = not isinstance(value, float) or abs(value) < LARGEST or name in BOUNDLESS
    require(small, name, f"must be {words}, below {LARGEST:g} in size", value)
    normal = not isinstance(value, float) or value == 0 or abs(value) >= SMALLEST
    require(normal, name, f"must be {words}, 0 or at least {SMALLEST:g} in size", value)
    return value


def build(values: Any, name: str, **arguments: Any) -> Any:
    """The part that `_target_` names, made from the other values; raises `UserError` where they do not fit.

    An optimizer has `_partial_: true`: it is made when it is called with the weights.
    """
    require(isinstance(values, Mapping), name, "is a group of settings", values)
    target, later = str(values.get("_target_", "")), values.get("_partial_", False)
    given = {key: value for key, value in values.items() if key not in ("_target_", "_partial_")}
    kind = trusted(target, name)
    require(later is (name == "optimizer"), f"{name}._partial_", f"must be {str(name == 'optimizer').lower()}", later)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        try:
            return typed(name, kind, given | arguments)
        except UserError:
            raise
        except Exception as error:  # a part's own check of its values
            reason = f"{type(error).__name__}: {first_line(error)} ({where(error)})"
            raise UserError(f"{name} can't be built from {target}, {reason}") from error
    like_defaults(name, kind, given)
    try:
        return partial(kind, **given, **arguments) if later else kind(**given, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} can't be built from {target}: {first_line(error)}") from error


def like_defaults(name: str, kind: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise `UserError` where another library's class has no such parameter, or its default is of another type."""
    parameters = signature(kind).parameters
    for key, value in given.items():
        default = parameters[key].default if key in parameters else Parameter.empty
        if default is Parameter.empty:
            raise UserError(messages.unknown(f"{name}.{key}", CONF))
        _like(f"{name}.{key}", value, default)


def _like(name: str, value: Any, default: Any) -> None:
    if isinstance(default, tuple):
        same = isinstance(value, list) and len(value) == len(default)
        require(same, name, f"must be a list of {len(default)}, like {list(default)}", value)
        for each, other in zip(value, default, strict=True):
            _like(name, each, other)
    elif default is None:
        of_type(name, value, int | float | bool | str | None)
    elif type(default) in KINDS:
        of_type(name, value, float if type(default) is int else type(default))
    else:
        raise UserError(f"{name} must be left out, for no text can say it; got {value!r}")


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C would; a database connection that is being given back just then must not log how it was cut off."""
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    raise KeyboardInterrupt


def _with_infinities(value: Any) -> Any:
    """Settings with numbers for `.inf` and `.nan`, which are such in YAML, and text on Hydra's command line."""
    if isinstance(value, dict):
        return {key: _with_infinities(each) for key, each in value.items()}
    return float(value.replace(".", "")) if value in (".inf", "-.inf", ".nan") else value


def _as_json(value: Any) -> Any:
    """Settings with what JSON has no number for as YAML writes it: `.inf`."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return f"{'-' if value < 0 else ''}.inf" if isinstance(value, float) and isinf(value) else value
