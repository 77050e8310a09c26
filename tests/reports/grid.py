"""A grid of one pair, as the stages write it: what is committed, with made-up gradients and curves."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

from pipeline.base.files import write_json
from pipeline.base.trees import as_json
from pipeline.learning.scoreboard import Outcome
from pipeline.records.explanation import write_maps
from pipeline.records.gradients import write_profiles
from pipeline.records.outcome import OutcomeRecord
from pipeline.records.settings import SettingsRecord, read_settings
from pipeline.records.training import write_curves
from pipeline.records.trials import read_trials
from pipeline.reports.pairs import Pair
from tests.records.made import RESULTS, committed, explanation, gradient_maps, profile, with_made_up_profiles

PAIR = "temporal_order-rnn"
WORDS = ("task=temporal_order", "cell=rnn", "search.length_max=512")  # of the committed search


def stages(root: Path) -> Path:
    """What `search` and `train` write for one pair, below `root`."""
    for stage in ("search", "train"):
        shutil.copytree(RESULTS / stage / PAIR, root / stage / PAIR)
    search, train = root / "search" / PAIR, root / "train" / PAIR
    trials = [with_made_up_profiles(each) for each in read_trials(search / "trials.csv")]
    write_profiles(search / "gradients.parquet", trials)
    write_curves(
        train / "curves.csv", [{"update": 50.0 * n, "score/held_out": 1 / n, "score/best": 1 / n} for n in (1, 2)]
    )
    steps = {"update": [1, 1, 600, 600], "step": [1, 2, 1, 2]}
    norms = {"log2_norm_h": np.array([-9.0, -1.0, -8.0, -1.0], dtype=np.float32)}
    parquet.write_table(pyarrow.table(steps | norms), train / "gradients.parquet")
    explain, told = root / "explain" / PAIR, explanation(committed(PAIR))
    explain.mkdir(parents=True)
    write_json(explain / "explanation.json", as_json(told))
    write_maps(explain / "maps.parquet", gradient_maps(told))
    return root


def pair(name: str, **changes: object) -> Pair:
    """A committed pair without what only DVC keeps; `changes` are fields of its horizon."""
    horizon = committed(name)
    trials = read_trials(RESULTS / "search" / name / "trials.csv")
    outcome = Outcome(0, True, 50, 50, False, 50, 0.001)
    training = OutcomeRecord(horizon.task, horizon.cell, 32, 600, 0.01, 0.1, 0.5, 1, 50, None, {}, (outcome,))
    return Pair(
        label=horizon.cell.upper(),
        horizon=replace(horizon, **changes),
        trials=trials,
        training=training,
        settings=read_settings(RESULTS / "search" / name / "settings.json"),
        digests={"search": "0", "train": "1"},
        at_boundary={},
        choices=(),
        curve=(),
        paths=tuple(({"step": 0, "norm": profile(1, 0.0).median[0]},) for _ in trials),
        explanation=explanation(horizon),
    )


def between(settings: SettingsRecord, shortest: int, longest: int) -> SettingsRecord:
    """The settings of a search between other lengths."""
    return replace(settings, search={**settings.search, "length_min": shortest, "length_max": longest})
