"""Keeps what a training showed: curves over updates, and the norms of the gradient through time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from pipeline.learning import gradients
from pipeline.learning.first_look import Scores
from pipeline.learning.scoreboard import rows_of

State = Mapping[str, Float[ndarray, "running time"]]  # log2 ‖∂L/∂state_t‖ for each part of the state
Watch = Callable[[int, Mapping[str, float]], None]  # (update, figures)


def ignore_progress(update: int, figures: Mapping[str, float]) -> None:
    """Do nothing: the default watcher of a training."""


@dataclass(frozen=True)
class ThroughTime:
    """The gradient at one recorded update: log2 ‖∂L/∂state_t‖ for each part of the state, and ‖∂L/∂weights‖."""

    update: int
    positions: Int64[ndarray, " running"]  # of the replicas that trained, among those that began
    log2_norms: Mapping[str, Float[ndarray, "running time"]]
    norms: Float[ndarray, " running"]  # of the whole gradient, before clipping


@dataclass(frozen=True)
class Inspected:
    """The costly figures of one update, one number a replica."""

    update: int
    positions: Int64[ndarray, " running"]
    figures: Mapping[str, Float[ndarray, " running"]]


@dataclass(frozen=True)
class Exit:
    """The first probe at which a replica's score was clearly better than chance: it leaves its plateau."""

    update: int
    decay: float  # of the gradient on its way back at this update


@dataclass
class Recorder:
    """Takes every update, keeps one in `every` (and the first), and shows medians over the replicas to `watch`.

    Replicas are named by their positions among those that began.
    """

    every: int
    answers: int  # last steps that carry a target
    clip: float
    watch: Watch = ignore_progress
    plateau: float = -np.inf  # a held-out score below this is clearly better than chance
    through_time: list[ThroughTime] = field(default_factory=list)
    curves: list[dict[str, float]] = field(default_factory=list)
    latest: dict[int, dict[str, float]] = field(default_factory=dict)  # last gradient figures of each replica
    first: dict[int, dict[str, float]] = field(default_factory=dict)  # figures of the first inspection of each replica
    inspections: list[Inspected] = field(default_factory=list)
    exits: dict[int, Exit] = field(default_factory=dict)
    first_losses: Float[ndarray, " replica"] = field(default_factory=lambda: np.zeros(0))  # at the first update
    nonfinite: set[int] = field(default_factory=set)  # whose loss or gradient was not finite
    _begun: int = 0
    _best: float = np.inf  # the lowest score on all held-out sequences
    _clipped: list[tuple[ndarray, ndarray]] = field(
        default_factory=list
    )  # positions, which were: since the last record
    _fired: dict[int, list[int]] = field(default_factory=dict)  # of each replica: updates that were clipped, and all
    _last: tuple[ndarray, Callable[[], State]] | None = None  # positions and norms of the last update

    def wants(self, update: int) -> bool:
        """Return True if this update is kept."""
        return update == 1 or update % self.every == 0

    def update(
        self,
        update: int,
        positions: Int64[ndarray, " running"],
        losses: Float[ndarray, " running"],
        norms: Float[ndarray, " running"],
        log2_norms: Callable[[], State],
    ) -> None:
        """Take one update; `log2_norms` is called only where the update is kept, or a replica leaves its plateau."""
        if not self._begun:
            self._begun, self.first_losses = len(positions), losses
        self._last = positions, log2_norms
        self._clipped.append((positions, norms > self.clip))
        self._count(positions, norms > self.clip)
        broken = positions[~(np.isfinite(losses) & np.isfinite(norms))]
        self.nonfinite |= {int(position) for position in broken}
        share = {"gradient/nonfinite": len(self.nonfinite) / self._begun}
        if self.wants(update):
            self._record(update, positions, losses, norms, log2_norms(), share)
        elif broken.size:
            self._show(update, share)
        for position in broken:
            self.latest[int(position)]["gradient/nonfinite"] = 1.0

    def norms_of(self, position: int) -> list[Float[ndarray, " time"]]:
        """Return log2 ‖∂L/∂h_t‖ of one replica at each recorded update that it lived to see."""
        found = [(kept.log2_norms["h"], np.flatnonzero(kept.positions == position)) for kept in self.through_time]
        return [norms[row] for norms, rows in found for row in rows]

    def clipped_share(self, position: int) -> float:
        """Return the share of its updates in which a replica's gradient was clipped."""
        clipped, every = self._fired[position]
        return clipped / every

    def inspection(self, update: int, positions: Int64[ndarray, " running"], figures: Mapping[str, ndarray]) -> None:
        """Take the costly figures of one update, one number a replica."""
        self.inspections.append(Inspected(update, positions, figures))
        for row, position in enumerate(positions):
            self.first.setdefault(int(position), {name: float(values[row]) for name, values in figures.items()})
        self._remember(positions, figures)
        self._show(update, _medians(figures))

    def watched(self, positions: Int64[ndarray, " running"]) -> Float[ndarray, " running"]:
        """Return the score below which all held-out sequences are looked at, to tell whether a plateau has ended."""
        return np.array([-np.inf if int(each) in self.exits else self.plateau for each in positions])

    def probe(
        self, update: int, positions: Int64[ndarray, " running"], found: Scores, solved: int, running: int
    ) -> None:
        """Take one check on held-out sequences."""
        whole = found.counts == found.whole
        left = [int(each) for each in positions[found.scores < self.plateau] if int(each) not in self.exits]
        if left and self._last is not None:
            known, log2_norms = self._last
            decays = gradients.decay(log2_norms()["h"], self.answers)[rows_of(known, np.array(left))]
            self.exits |= {each: Exit(update, float(decay)) for each, decay in zip(left, decays, strict=True)}
        self._best = min([self._best, *map(float, found.scores[whole])])
        figures = {"score/held_out": float(np.median(found.scores)), "score/sequences": float(found.counts.min())}
        figures |= {"score/best": self._best, "replicas/solved": float(solved), "replicas/running": float(running)}
        self._show(update, figures)

    def _count(self, positions: ndarray, clipped: ndarray) -> None:
        for position, fired in zip(positions.tolist(), clipped.tolist(), strict=True):
            known = self._fired.setdefault(position, [0, 0])
            known[0] += fired
            known[1] += 1

    def _record(
        self, update: int, positions: ndarray, losses: ndarray, norms: ndarray, state: State, share: Mapping[str, float]
    ) -> None:
        self.through_time.append(ThroughTime(update, positions, state, norms))
        fired = [clipped[rows_of(known, positions)].astype(float) for known, clipped in self._clipped]
        figures = {"loss/training": losses, "gradient/norm": norms} | gradients.of_parts(state, self.answers)
        self._remember(positions, figures | {"gradient/clipped": np.mean(fired, axis=0)})
        self._remember(positions, {"gradient/nonfinite": np.zeros(len(positions))})
        clipped = float(np.mean([fired.mean() for _, fired in self._clipped]))
        self._show(update, _medians(figures) | {"gradient/clipped": clipped, **share})
        self._clipped.clear()

    def _remember(self, positions: Int64[ndarray, " running"], figures: Mapping[str, ndarray]) -> None:
        for row, position in enumerate(positions):
            known = self.latest.setdefault(int(position), {})
            known |= {name: float(values[row]) for name, values in figures.items()}

    def _show(self, update: int, figures: Mapping[str, float]) -> None:
        finite = {name: value for name, value in figures.items() if np.isfinite(value)}
        self.curves.append({"update": float(update), **finite})
        self.watch(update, finite)


def _medians(figures: Mapping[str, ndarray]) -> dict[str, float]:
    """Return the median over the replicas of what is finite; names with nothing finite are left out."""
    finite = {name: values[np.isfinite(values)] for name, values in figures.items()}
    return {name: float(np.median(values)) for name, values in finite.items() if len(values)}


def columns(records: Sequence[ThroughTime], seeds: Sequence[int]) -> dict[str, ndarray]:
    """Return the table of gradients.parquet, one row for each (update, replica, step); `seeds` has that of each."""
    names = np.asarray(seeds, dtype=np.int32)
    shapes = [next(iter(record.log2_norms.values())).shape for record in records]
    table = {
        "update": np.concatenate(
            [np.full(r * t, rec.update, np.int32) for rec, (r, t) in zip(records, shapes, strict=True)]
        ),
        "replica": np.concatenate(
            [np.repeat(names[rec.positions], t) for rec, (_, t) in zip(records, shapes, strict=True)]
        ),
        "step": np.concatenate([np.tile(np.arange(1, t + 1, dtype=np.int32), r) for r, t in shapes]),
    }
    table["gradient_norm"] = np.concatenate(
        [np.repeat(rec.norms.astype(np.float32), t) for rec, (_, t) in zip(records, shapes, strict=True)]
    )
    for state in records[0].log2_norms:
        norms = [record.log2_norms[state].astype(np.float32).ravel() for record in records]
        table[f"log2_norm_{state}"] = np.concatenate(norms)
    return table
