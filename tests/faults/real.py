"""The real command, which faults befall. What it imports late is imported here, so that its forks have it."""

import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import optuna_dashboard  # noqa: F401
from mlflow import MlflowClient

from pipeline import search
from tests.faults.drivers import Search

REAL = (
    "task=temporal_order",
    "cell=gru",
    "cell.hidden=8",
    "data.held_out=100",
    "optimizer.lr=0.01",
    "training.updates=60",
    "training.probe_every=20",
    "training.threads=1",
    "search.tuned=false",
    "search.length_max=60",
    "search.replicas=2",
    "search.trials=5",
)
PAIR = "temporal_order-gru"


@dataclass
class RealSearch(Search):
    """`python -m pipeline.search` on a task, so small that it takes seconds."""

    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.storage = self.storage or f"sqlite:///{self.folder}/state/.state/optuna.db"
        if not self.storage.startswith("sqlite"):
            self.environment = {**self.environment, "OPTUNA_STORAGE": self.storage}

    @property
    def results(self) -> Path:
        return self.folder / "results" / "search" / PAIR

    @property
    def tracking(self) -> str:
        """Where its runs are."""
        return self.environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.folder}/state/mlflow.db"

    def arguments(self) -> list[str]:
        """The command line."""
        places = [f"paths.{name}={self.folder / name}" for name in ("data", "results", "state", "tuned")]
        return [*REAL, *places, *self.overrides]

    def command(self) -> list[str]:
        """The same as a command of its own."""
        return [sys.executable, "-m", "pipeline.search", *self.arguments()]

    def work(self, *overrides: str) -> None:
        sys.argv = ["search", *self.arguments(), *overrides]
        search.main()

    def untrue_runs(self, and_finished: int = 0) -> int:
        told = [
            driver for driver in self.drivers if driver.status == 0 and "not delivered of run" not in driver.words()
        ]
        return untrue_runs(self.tracking, and_finished + len(told))


def untrue_runs(tracking: str, finished: int) -> int:
    """Runs in MLflow that do not say how they ended: still RUNNING, or parents FINISHED that were not, or not so."""
    client = MlflowClient(tracking)
    runs = client.search_runs(experiments(client), max_results=5000)
    parents = [run for run in runs if run.data.tags.get("level") == "parent"]
    ended_well = sum(run.info.status == "FINISHED" for run in parents)
    return sum(run.info.status == "RUNNING" for run in runs) + abs(ended_well - finished)


def experiments(client: MlflowClient) -> list[str]:
    """All experiments of a store."""
    return [experiment.experiment_id for experiment in client.search_experiments()]
