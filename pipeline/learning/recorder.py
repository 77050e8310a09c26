"""Keeps what a training showed: curves over updates, and the norms of the gradient through time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from pipeline.learning import gradients

State = Mapping[str, Float[ndarray, "running time"]]  # log2 ‖∂L/∂state_t‖ for each part of the state
Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class ThroughTime:
    """The gradient at one recorded update: log2 ‖∂L/∂state_t‖ for each part of the state, and ‖∂L/∂weights‖."""

    update: int
    replicas: Int64[ndarray, " running"]
    log2_norms: Mapping[str, Float[ndarray, "running time"]]
    norms: Float[ndarray, " running"]  # of the whole gradient, before clipping


@dataclass(frozen=True)
class Exit:
    """Where a replica left the plateau of chance: the first probe whose score was clearly better."""

    update: int
    decay: float  # of the gradient on its way back at this update


@dataclass
class Recorder:
    """Takes every update, keeps one in `every` (and the first), and shows medians over the replicas to `watch`."""

    every: int
    answers: int  # last steps that carry a target
    clip: float
    watch: Watch = lambda update, figures: None
    plateau: float = -np.inf  # a held-out score below this is clearly better than chance
    through_time: list[ThroughTime] = field(default_factory=list)
    curves: list[dict[str, float]] = field(default_factory=list)
    latest: dict[int, dict[str, float]] = field(default_factory=dict)  # last gradient figures of each replica
    first: dict[int, dict[str, float]] = field(default_factory=dict)  # figures of the first inspection of each replica
    exits: dict[int, Exit] = field(default_factory=dict)  # by replica
    nonfinite: set[int] = field(default_factory=set)  # replicas whose loss or gradient was not finite
    _begun: int = 0
    _clipped: list[tuple[ndarray, ndarray]] = field(default_factory=list)  # since the last record: replicas, which were
    _last: tuple[ndarray, Callable[[], State]] | None = None  # replicas and norms of the last update

    def wants(self, update: int) -> bool:
        """Whether this update is one of those that are kept."""
        return update == 1 or update % self.every == 0

    def update(
        self,
        update: int,
        replicas: Int64[ndarray, " running"],
        losses: Float[ndarray, " running"],
        norms: Float[ndarray, " running"],
        log2_norms: Callable[[], State],
    ) -> None:
        """Take one update; `log2_norms` is called only where the update is kept, or a replica leaves its plateau."""
        self._begun, self._last = max(self._begun, len(replicas)), (replicas, log2_norms)
        self._clipped.append((replicas, norms > self.clip))
        broken = replicas[~(np.isfinite(losses) & np.isfinite(norms))]
        self.nonfinite |= {int(replica) for replica in broken}
        share = {"gradient/nonfinite": len(self.nonfinite) / self._begun}
        if self.wants(update):
            self._record(update, replicas, losses, norms, log2_norms(), share)
        elif broken.size:
            self._show(update, share)
        for replica in broken:
            self.latest[int(replica)]["gradient/nonfinite"] = 1.0

    def norms_of(self, replica: int) -> list[Float[ndarray, " time"]]:
        """log2 ‖∂L/∂h_t‖ of one replica at each recorded update that it lived to see."""
        found = [(kept.log2_norms["h"], np.flatnonzero(kept.replicas == replica)) for kept in self.through_time]
        return [norms[row] for norms, rows in found for row in rows]

    def inspection(self, update: int, replicas: Int64[ndarray, " running"], figures: Mapping[str, ndarray]) -> None:
        """Take the costly figures of one update, one number a replica."""
        for position, replica in enumerate(replicas):
            self.first.setdefault(int(replica), {name: float(values[position]) for name, values in figures.items()})
        self._remember(replicas, figures)
        self._show(update, _medians(figures))

    def probe(
        self,
        update: int,
        replicas: Int64[ndarray, " running"],
        scores: Float[ndarray, " running"],
        best: float,
        solved: int,
        running: int,
    ) -> None:
        """Take one check on held-out sequences."""
        left = [int(each) for each in replicas[scores < self.plateau] if int(each) not in self.exits]
        if left and self._last is not None:
            known, log2_norms = self._last
            decays = gradients.decay(log2_norms()["h"], self.answers)[np.isin(known, left)]
            self.exits |= {each: Exit(update, float(decay)) for each, decay in zip(left, decays, strict=True)}
        figures = {"score/held_out": float(np.median(scores)), "score/best": best}
        self._show(update, figures | {"replicas/solved": float(solved), "replicas/running": float(running)})

    def _record(
        self, update: int, replicas: ndarray, losses: ndarray, norms: ndarray, state: State, share: Mapping[str, float]
    ) -> None:
        self.through_time.append(ThroughTime(update, replicas, state, norms))
        fired = [(clipped[np.isin(known, replicas)]).astype(float) for known, clipped in self._clipped]
        figures = {"loss/training": losses, "gradient/norm": norms} | gradients.of_parts(state, self.answers)
        self._remember(replicas, figures | {"gradient/clipped": np.mean(fired, axis=0)})
        self._remember(replicas, {"gradient/nonfinite": np.zeros(len(replicas))})
        clipped = float(np.mean([fired.mean() for _, fired in self._clipped]))
        self._show(update, _medians(figures) | {"gradient/clipped": clipped, **share})
        self._clipped.clear()

    def _remember(self, replicas: Int64[ndarray, " running"], figures: Mapping[str, ndarray]) -> None:
        for position, replica in enumerate(replicas):
            known = self.latest.setdefault(int(replica), {})
            known |= {name: float(values[position]) for name, values in figures.items()}

    def _show(self, update: int, figures: Mapping[str, float]) -> None:
        finite = {name: value for name, value in figures.items() if np.isfinite(value)}
        self.curves.append({"update": float(update), **finite})
        self.watch(update, finite)


def _medians(figures: Mapping[str, ndarray]) -> dict[str, float]:
    """The median over the replicas of what is finite; names with nothing finite are left out."""
    finite = {name: values[np.isfinite(values)] for name, values in figures.items()}
    return {name: float(np.median(values)) for name, values in finite.items() if len(values)}


def columns(records: Sequence[ThroughTime], replicas: Sequence[int]) -> dict[str, ndarray]:
    """One row for each (update, replica, step): the table of gradients.parquet; `replicas` names the positions."""
    names = np.asarray(replicas, dtype=np.int32)
    shapes = [next(iter(record.log2_norms.values())).shape for record in records]
    table = {
        "update": np.concatenate(
            [np.full(r * t, rec.update, np.int32) for rec, (r, t) in zip(records, shapes, strict=True)]
        ),
        "replica": np.concatenate(
            [np.repeat(names[rec.replicas], t) for rec, (_, t) in zip(records, shapes, strict=True)]
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
