"""The base of every task. To add one, write a class like those in this folder and a YAML in conf/task/."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log
from typing import ClassVar

from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from numpy.random import Generator

from pipeline.base.errors import require

Inputs = Float32[ndarray, "time batch input"] | UInt8[ndarray, "time batch"]
Targets = Float32[ndarray, "answer batch output"] | Int64[ndarray, "answer batch"]


@dataclass(frozen=True)
class Batch:
    """Labelled sequences. Symbols are stored as their number (the cell reads them one-hot), channels as float32."""

    inputs: Inputs
    targets: Targets  # for the last `answer` steps: numbers to match, or the class


@dataclass(frozen=True)
class Task(ABC):
    """A generator of labelled sequences of any length, and when it counts as solved."""

    source: ClassVar[str]  # where the generator was published, and which variant this is
    kind: ClassVar[str]  # its objective, see learning.objective: what is minimized, and which answers are wrong
    symbols: ClassVar[bool] = False  # inputs are the numbers of symbols; else they are channels
    shortest: ClassVar[int]  # the smallest length for which the task is defined
    stretch: ClassVar[float] = 0.0  # a batch of length L has l ~ U{L … L + floor(stretch L) - 1} steps; 0: always L

    goal: float  # solved: the score on held-out sequences is below this
    loose_goal: float  # a second, easier threshold: a horizon depends on where the line is drawn

    def __post_init__(self) -> None:
        require(self.goal > 0, "task.goal", "is an error, above 0", self.goal)
        require(self.loose_goal > self.goal, "task.loose_goal", f"must be above task.goal {self.goal}", self.loose_goal)
        require(
            self.loose_goal < self.chance, "task.loose_goal", f"must be below chance {self.chance}", self.loose_goal
        )

    @property
    @abstractmethod
    def channels(self) -> int:
        """Width of the input: channels, or symbols."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Width of the readout: numbers to match, or classes."""

    @property
    @abstractmethod
    def answers(self) -> int:
        """The number of last steps that carry a target."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The score of the best answer that ignores the input: a mean squared error, or a share of wrong answers."""

    def steps(self, length: int) -> int:
        """Return the time steps of a sequence whose length, in the words of the source, is `length`."""
        return length

    def progress(self, score: float) -> float:
        """Return how far a score has come, in logarithms: 0 at chance, 1 at the goal."""
        return log(self.chance / score) / log(self.chance / self.goal)

    @abstractmethod
    def sample(self, random: Generator, length: int, batch: int) -> Batch:
        """Draw `batch` sequences. Pure: the same generator state gives the same sequences."""


def drawn_length(task: Task, random: Generator, length: int) -> int:
    """Return the length of one batch, for `sample`; nothing is drawn where all batches have the same."""
    longer = int(task.stretch * length)
    return length + int(random.integers(longer)) if longer else length
