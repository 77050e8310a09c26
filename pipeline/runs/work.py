"""The frame of a stage: its run in MLflow, its data, its folder of results."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from pipeline import tracking
from pipeline.base.files import replaced, require_writable
from pipeline.base.terminal import Display
from pipeline.base.trees import flatten
from pipeline.data.held_out import HeldOut
from pipeline.figures.colors import COLORS
from pipeline.runs.prepared import ensure_prepared
from pipeline.settings import Settings
from pipeline.settings.destination import destination, folder_of
from pipeline.settings.places import CONF, options

ASIDE = ("executor.", "paths.", "sweep.", "tracking.")  # sections of the settings that decide no result


@dataclass(frozen=True)
class Work:
    """What a stage works with."""

    stage: str
    settings: Settings
    held_out: HeldOut
    run: tracking.Run
    display: Display
    began: float = field(default_factory=time.monotonic)  # [s]

    @property
    def seconds(self) -> float:
        """The time since it began."""
        return time.monotonic() - self.began

    @property
    def data(self) -> str:
        """Where DVC keeps the data."""
        return f"data/{self.settings.names['task']}"

    @cached_property
    def folder(self) -> Path:
        """The folder of the results."""
        return folder_of(self.settings, self.stage)

    @contextmanager
    def results(self) -> Iterator[Path]:
        """Yield an empty folder; if the block ends well, its files replace the results, here and in MLflow."""
        with replaced(self.folder) as folder:
            yield folder
            self.run.artifacts(folder)

    def log_data(self, digest: str, profile: str) -> None:
        """Tie the run to its data."""
        self.run.dataset(self.settings.names["task"], digest, self.data, profile)


def color(cell: str) -> str:
    """Return the color of a cell in MLflow, that of the report for a cell of the grid."""
    cells = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]["cells"]
    others = [name for name in options("cell") if name not in cells]
    return COLORS[[*cells, *others].index(cell) % len(COLORS)]


def described(settings: Settings) -> dict[str, Any]:
    """Return the settings that tell two runs apart: not where files go, and parts by their names, not their classes."""
    flat = flatten(settings.tree)
    told = {name: value for name, value in flat.items() if not name.startswith(ASIDE) and "._" not in name}
    return {**settings.names, **told}


@contextmanager
def open_work(
    stage: str, settings: Settings, display: Display, detail: str = "", tags: Mapping[str, str] | None = None
) -> Iterator[Work]:
    """Open the run of a stage, with its settings and its data; it ends with the block, as the block ends.

    `detail` is a part of the run's name. Raises `UserError` where runs can't be stored, or results can't be written.
    """
    settings.require_runs()
    require_writable(folder_of(settings, stage))
    display.print(destination(settings, stage))
    began = time.monotonic()
    name = " · ".join(filter(None, [settings.experiment or settings.names["cell"], detail, stage]))
    known = {"stage": stage, "mlflow.runColor": color(settings.names["cell"]), **settings.tags, **(tags or {})}
    display.doing("opens MLflow's store")
    with tracking.open_run(settings.tracking.enabled, settings.state, settings.names["task"], name, known) as run:
        display.doing("reads or draws the held-out sequences")
        held_out = ensure_prepared(settings)
        run.params(described(settings))
        yield Work(stage, settings, held_out, run, display, began)
