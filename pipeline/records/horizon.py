"""horizon.json: the answer of a search, with what it is an answer to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.trees import as_json
from pipeline.horizon.answer import Horizon, horizon_from
from pipeline.horizon.belief import belief
from pipeline.horizon.estimate import Estimate
from pipeline.horizon.model import Grid
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.representation import cannot_represent
from pipeline.learning.signature import majority
from pipeline.records.reading import MAKER, read_json
from pipeline.study.record import TrialRecord
from pipeline.tasks.task import Task
from pipeline.tuning.record import Tuned

if TYPE_CHECKING:  # torch
    from pipeline.cells.cell import Cell

QUESTION = ("task", "cell", "goal", "chance", "length_min", "length_max")  # come first


@dataclass(frozen=True)
class Loose:
    """The horizon of the same trials at the task's easier goal."""

    goal: float
    t50: Estimate


@dataclass(frozen=True, kw_only=True)
class HorizonRecord(Horizon):
    """The horizon of one cell on one task."""

    task: str
    cell: str
    goal: float  # held-out error below which a replica has solved
    chance: float  # held-out error of guessing
    length_min: int
    length_max: int
    signature: str | None = None  # of the gradient where replicas fail, see learning.signature
    loose: Loose
    tuned: Tuned | None = None  # where the settings come from; None where they are the plain ones
    kind: str = ""  # what a layer of the cell is, see cells.cell.KINDS
    layers: int = 1
    tied: tuple[str, ...] = ()  # settings of the cell that followed each trial's length
    cannot_represent: str | None = None  # why the cell can't represent the task; None where no reason is known

    @property
    def pair(self) -> str:
        """TASK-CELL."""
        return f"{self.task}-{self.cell}"

    @property
    def range(self) -> tuple[int, int]:
        """The shortest length, and the longest that a figure has to show."""
        return self.length_min, min(self.length_max, round(1.2 * self.tried) if self.tried else self.length_max)

    @property
    def grid(self) -> Grid:
        """The horizons that the search held possible."""
        return Grid.of(self)

    def belief(self, trials: Sequence[TrialRecord]) -> Posterior:
        """Return the posterior of the horizon after these trials."""
        return belief([trial.observation for trial in trials], self.grid)

    def to_json(self) -> dict[str, Any]:
        """Return the content of horizon.json."""
        names = [field.name for field in fields(self) if field.name not in QUESTION]
        return {name: as_json(getattr(self, name)) for name in (*QUESTION, *names)}


def horizon_record(
    names: Mapping[str, str],
    task: Task,
    found: Horizon,
    trials: Sequence[TrialRecord],
    search: SearchOptions,
    tuned: Tuned | None = None,
    cell: "Cell | None" = None,
) -> HorizonRecord:
    """Return the answer of a search with its question, and what the same trials say of the easier goal.

    Where the cell can't represent the task, no signature of the gradient is given: it does not fail for that reason.
    """
    about = about_cell(cell, names["task"], task) if cell else {}
    loose = horizon_from([trial.loosely for trial in trials], search)
    return HorizonRecord(
        **vars(found),
        task=names["task"],
        cell=names["cell"],
        goal=task.goal,
        chance=task.chance,
        length_min=search.length_min,
        length_max=search.length_max,
        signature=None if about.get("cannot_represent") else signature_beyond(trials, found.t50),
        loose=Loose(task.loose_goal, not_below(loose.t50, found.t50)),
        tuned=tuned,
        **about,
    )


def about_cell(cell: "Cell", name: str, task: Task) -> dict[str, Any]:
    """Return what a cell is and what bounds it on a task, beside all training."""
    layers, message = int(getattr(cell, "layers", 1)), int(getattr(task, "message", 0))
    cannot = cannot_represent(cell.kind, layers, name, message)
    return {"kind": cell.kind, "layers": layers, "tied": cell.tied, "cannot_represent": cannot}


def signature_beyond(trials: Sequence[TrialRecord], t50: Estimate) -> str | None:
    """Return the commonest signature of the failing trials at the horizon and beyond.

    None where none failed, and where the horizon lies beyond the range, for there the few that fail are no rule.
    """
    if t50.censored == "above":
        return None
    return majority([trial.signature for trial in trials if trial.length >= t50.begins])


def not_below(loose: Estimate, strict: Estimate) -> Estimate:
    """Return the estimate at the easier goal, raised to that at the strict one: who met one met both."""
    if loose.censored or strict.censored:
        return strict if strict.censored == "above" else loose
    return Estimate(
        _larger(loose.median, strict.median), _larger(loose.lower, strict.lower), _larger(loose.upper, strict.upper)
    )


def _larger(loose: float | None, strict: float | None) -> float | None:
    return loose if loose is None or strict is None else max(loose, strict)


def read_horizon(path: Path, maker: str = MAKER) -> HorizonRecord:
    """Return the content of horizon.json; raises `UserError` where it is missing or is something else."""
    return read_json(path, HorizonRecord, maker)
