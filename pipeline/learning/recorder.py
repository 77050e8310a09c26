"""Keeps what a training showed: curves over updates, and the norms of the gradient through time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from pipeline.learning import gradients

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class ThroughTime:
    """The gradient at one recorded update: log2 ‖∂L/∂state_t‖ for each part of the state, and ‖∂L/∂weights‖."""

    update: int
    replicas: Int64[ndarray, " running"]
    log2_norms: Mapping[str, Float[ndarray, "running time"]]
    norms: Float[ndarray, " running"]  # of the whole gradient, before clipping


@dataclass
class Recorder:
    """Takes every update, keeps one in `every` (and the first), and shows medians over the replicas to `watch`."""

    every: int
    answers: int  # last steps that carry a target
    clip: float
    watch: Watch = lambda update, figures: None
    through_time: list[ThroughTime] = field(default_factory=list)
    curves: list[dict[str, float]] = field(default_factory=list)
    latest: dict[int, dict[str, float]] = field(default_factory=dict)  # last gradient figures of each replica
    ever_clipped: set[int] = field(default_factory=set)  # who was; the others went the way of training without clipping
    _clipped: list[float] = field(default_factory=list)

    def wants(self, update: int) -> bool:
        """Whether this update is one of those that are kept."""
        return update == 1 or update % self.every == 0

    def update(
        self,
        update: int,
        replicas: Int64[ndarray, " running"],
        losses: Float[ndarray, " running"],
        norms: Float[ndarray, " running"],
        log2_norms: Callable[[], Mapping[str, Float[ndarray, "running time"]]],
    ) -> None:
        """Take one update; `log2_norms` is called only where the update is kept."""
        self._clipped.append(float((norms > self.clip).mean()))
        self.ever_clipped.update(replicas[norms > self.clip].tolist())
        if self.wants(update):
            through_time = log2_norms()
            self.through_time.append(ThroughTime(update, replicas, through_time, norms))
            figures = {"loss/training": losses, "gradient/norm": norms}
            figures |= gradients.summary(through_time["h"], self.answers)
            self._remember(replicas, figures)
            self._show(update, _medians(figures) | {"gradient/clipped": float(np.mean(self._clipped))})
            self._clipped.clear()

    def probe(self, update: int, scores: Float[ndarray, " running"], best: float, solved: int, running: int) -> None:
        """Take one check on held-out sequences."""
        figures = {"score/held_out": float(np.median(scores)), "score/best": best}
        self._show(update, figures | {"replicas/solved": float(solved), "replicas/running": float(running)})

    def _remember(self, replicas: Int64[ndarray, " running"], figures: Mapping[str, ndarray]) -> None:
        for position, replica in enumerate(replicas):
            self.latest[int(replica)] = {name: float(values[position]) for name, values in figures.items()}

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
