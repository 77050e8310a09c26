"""The command line of a tuning that takes seconds."""

from pathlib import Path

SMALL = [
    "task=temporal_order",
    "cell=lstm",
    "cell.hidden=8",
    "data.held_out=60",
    "training.updates=60",
    "training.probe_every=20",
    "training.threads=1",
    "task.goal=0.6",
    "task.loose_goal=0.7",
    "search.length_max=40",
    "search.replicas=2",
    "search.trials=3",
    "search.t90=false",
    "tune.first=4",
    "tune.settings=4",
    "tune.generations=2",
    "tune.searches=6",
    "tune.seeds=2",
    "tune.rates=3",
    "tune.rate_seeds=2",
]
PAIR = "temporal_order-lstm"


def arguments(folder: Path, *more: str) -> str:
    paths = [f"paths.{name}={folder / name}" for name in ("data", "results", "state", "tuned")]
    return " ".join([*SMALL, *paths, *more])
