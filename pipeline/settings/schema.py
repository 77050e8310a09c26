"""The sections of the settings that belong to no library, and `Settings`, which holds all that a stage may ask for."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import yaml

from pipeline.base.rules import FOLDER, SEED, Rule, Section, at_least, between
from pipeline.base.trees import without
from pipeline.explanation.options import ExplainOptions
from pipeline.horizon.options import SearchOptions
from pipeline.learning.options import TrainingOptions
from pipeline.settings.overrides import choice, name_of
from pipeline.settings.parts import build
from pipeline.settings.places import CONF, ROOT, options
from pipeline.tuning.options import TuneOptions

if TYPE_CHECKING:  # a stage imports numpy and torch only where it uses a part
    import torch

    import pipeline.cells.cell
    import pipeline.tasks.task
    import pipeline.tuning.record

MOST = 1024  # choices of settings that one command may make
MATCHED = "matched"  # in the place of a width: that which gives a cell as many weights as the LSTM has


def _words_of(group: str) -> Rule:
    known = options(group)
    return Rule(
        f"must be null, or a list of {', '.join(known)}",
        lambda words: isinstance(words, list) and words != [] and all(word in known for word in words),
    )


_WIDTHS = Rule(
    f"is a list of units, or {MATCHED}",
    lambda widths: (
        isinstance(widths, list)
        and widths != []
        and all(each == MATCHED or (type(each) is int and each >= 1) for each in widths)
    ),
)
_RATES = Rule(
    "is a rising list of numbers above 0",
    lambda rates: (
        isinstance(rates, list)
        and rates != []
        and all(type(rate) in (int, float) and 0 < rate < inf for rate in rates)
        and sorted(set(rates)) == rates
    ),
)
_LINE = Rule(
    "is a list of words of a command line",
    lambda words: isinstance(words, list) and all(isinstance(word, str) for word in words),
)


@dataclass(frozen=True)
class Data(Section):
    """The held-out sequences."""

    section: ClassVar[str] = "data"

    seed: Annotated[int, SEED]
    held_out: Annotated[int, at_least(1)]
    longest: Annotated[int, at_least(1)]


@dataclass(frozen=True)
class Tracking(Section):
    """Where runs are shown."""

    section: ClassVar[str] = "tracking"

    enabled: bool
    port: Annotated[int, between(1024, 65535)]


@dataclass(frozen=True)
class Sweep(Section):
    """Which searches `sweep` runs side by side."""

    section: ClassVar[str] = "sweep"

    tasks: Annotated[list[str] | None, _words_of("task")]
    cells: Annotated[list[str] | None, _words_of("cell")]

    def pairs(self) -> list[tuple[str, str]]:
        """Return every task with every cell."""
        grid = yaml.safe_load((CONF / "grid.yaml").read_text(encoding="utf-8"))["grid"]
        return [(task, cell) for task in self.tasks or grid["tasks"] for cell in self.cells or grid["cells"]]


@dataclass(frozen=True)
class Retune(Section):
    """How often `retune` chooses settings again."""

    section: ClassVar[str] = "retune"

    choices: Annotated[int, between(1, MOST)]


@dataclass(frozen=True)
class Atlas(Section):
    """Which cells `atlas` places on which tasks, and at what cost."""

    section: ClassVar[str] = "atlas"

    tasks: Annotated[list[str], _LINE]  # names from conf/task, or of `task_variants`
    task_variants: Mapping[str, Any]  # more columns by their names: the words of a command line
    cells: list[str] | None  # names from conf/cell, or of `variants`
    variants: Mapping[str, Any]  # more rows by their names: the words of a command line
    widths: Annotated[list[int | str], _WIDTHS]
    settings: Annotated[list[str], _LINE]  # of every pair
    rates: Annotated[list[float], _RATES]
    seeds: Annotated[int, between(1, MOST)]  # of each rate
    climb: Annotated[int, at_least(1)]  # whole budgets x steps that the choice of a rate may cost


@dataclass(frozen=True)
class Paths(Section):
    """Where files go: relative to the project, or absolute."""

    section: ClassVar[str] = "paths"

    data: Annotated[str, FOLDER]
    results: Annotated[str, FOLDER]
    tuned: Annotated[str, FOLDER]
    state: str | None


SECTIONS = (Data, TrainingOptions, SearchOptions, Sweep, Tracking, Paths)  # that every stage shows and keeps
OWN = (TuneOptions, Retune, Atlas, ExplainOptions)  # of one stage each


@dataclass(frozen=True)
class Settings:
    """All that a stage may ask for. A part is made when it is first asked for, so that a stage imports no more."""

    data: Data
    training: TrainingOptions
    search: SearchOptions
    sweep: Sweep
    tracking: Tracking
    paths: Paths
    tune: TuneOptions
    retune: Retune
    atlas: Atlas
    explain: ExplainOptions
    parts: Mapping[str, Mapping[str, Any]]  # the values of the part that was chosen in each group of conf/
    names: Mapping[str, str]  # what was chosen there: {"task": "adding", "cell": "rnn", …}
    folder: str | None = None  # of this job of a multirun, below its results
    home: str | None = None  # of a pair whose results stand apart, below all results: atlas/32/adding-lstm
    experiment: str | None = None  # what `+experiment=` names; its results have a folder of their own
    open_range: bool = False  # whether search.length_max is null, so that compute says where a search ends
    publish: bool = False  # whether results replace the published ones, whatever the settings ask
    overrides: Sequence[str] = ()  # of the command line, without where things go
    tuned: "pipeline.tuning.record.Provenance | None" = None  # where tuned settings come from, if they are in use

    @cached_property
    def task(self) -> "pipeline.tasks.task.Task":
        """The task."""
        made: pipeline.tasks.task.Task = self.part("task")
        return made

    @cached_property
    def cell(self) -> "pipeline.cells.cell.Cell":
        """The cell."""
        made: pipeline.cells.cell.Cell = self.part("cell")
        return made

    @cached_property
    def optimizer(self) -> "Callable[[list[torch.Tensor]], torch.optim.Optimizer]":
        """The optimizer, which is made from the weights."""
        made: Callable[[list[torch.Tensor]], torch.optim.Optimizer] = self.part("optimizer")
        return made

    def part(self, group: str, **arguments: Any) -> Any:
        """Make the part that was chosen in a group of conf/: a new one, as an executor is used once."""
        return build(self.parts[group], group, **arguments)

    @cached_property
    def tree(self) -> dict[str, Any]:
        """The settings that stages share, as plain values in the order of conf/config.yaml."""
        sections: dict[str, Any] = {kind.section: asdict(getattr(self, kind.section)) for kind in SECTIONS}
        return sections | {group: dict(values) for group, values in self.parts.items()}

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings that decide a result: not where it runs and things go, on how many threads, or whether anew."""
        from pipeline.base.deciding import NO_RESULT  # reads syntax trees

        written: dict[str, Any] = _as_json(without(self.tree, *NO_RESULT))
        return written

    @property
    def fixed(self) -> frozenset[str]:
        """What the command line names: settings and groups."""
        return frozenset(map(name_of, self.overrides))

    @property
    def address(self) -> str:
        """Where `make ui` shows the runs."""
        return f"http://127.0.0.1:{self.tracking.port}"

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

    @property
    def state(self) -> Path:
        """The folder of what is no result of a stage: stores, which outlive a rerun and a copy of the project."""
        return ROOT / (self.paths.state or os.environ.get("DVC_ROOT") or "")

    def results_of(self, name: str) -> Path:
        """Return the folder that a stage publishes to, of this pair or experiment; each job of a multirun has its own.

        Where a stage really writes, `destination.folder_of` says.
        """
        if self.home is not None:
            return self.results / self.home / name
        if self.experiment is not None:
            return self.results / "experiment" / self.experiment / name / (self.folder or "")
        if self.folder is not None:
            return self.results / "multirun" / name / self.pair / self.folder
        return self.results / name / self.pair

    def command(self, name: str) -> str:
        """Return the command line that asks a stage for the very same again."""
        words = [choice(group, self.names[group]) for group in ("task", "cell")]
        words += [word for word in self.overrides if word not in words]
        return shlex.join(["python", "-m", f"pipeline.{name}", *words])

    def require_runs(self) -> None:
        """Raise `UserError` where runs go to a file of ours that is no database of them, or can't be written."""
        if self.tracking.enabled and not os.environ.get("MLFLOW_TRACKING_URI"):
            from pipeline.base.files import require_writable
            from pipeline.base.sqlite import require_store

            require_store(self.state / "mlflow.db", "experiments")
            require_writable(self.state / ".state")


def _as_json(value: Any) -> Any:
    """Return settings with what JSON has no number for as YAML writes it: `.inf`."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return f"{'-' if value < 0 else ''}.inf" if isinstance(value, float) and isinf(value) else value
