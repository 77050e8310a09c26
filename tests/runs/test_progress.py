"""What a line of progress says between two probes."""

import inspect
from types import SimpleNamespace

import pytest

from pipeline.runs.train import fit
from pipeline.runs.watcher import Watcher
from pipeline.tracking.run import SilentRun
from tests.conftest import compose

CURVES = [(1, {"loss/training": 2.0}), (50, {"score/best": 0.5, "replicas/running": 2.0, "replicas/solved": 1.0})]


def stand_in(shown: list[str]) -> SimpleNamespace:
    """The frame of a stage, without its stores."""
    display = SimpleNamespace(progress=lambda share, text, *_: shown.append(text), doing=lambda text: None)
    held_out = SimpleNamespace(sequences=lambda length: None)
    return SimpleNamespace(
        settings=compose("training.updates=100"), run=SilentRun(), display=display, held_out=held_out
    )


def test_a_training_names_its_best_score_from_the_first_probe_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    told = [*CURVES, (60, {"loss/training": 1.0})]
    monkeypatch.setattr("pipeline.runs.train.train_replicas", lambda *given: [given[-1](*each) for each in told])
    inspect.unwrap(fit)(stand_in(shown))  # not checked by jaxtyping
    assert shown == ["update 1", "update 50, best score 0.5", "update 60, best score 0.5"]


def test_a_search_counts_who_solved_only_where_somebody_was_probed() -> None:
    shown: list[str] = []
    watcher = SimpleNamespace(work=stand_in(shown), length=12, share=0.1, answer="", remains="")
    for each in CURVES:
        inspect.unwrap(Watcher.watch)(watcher, *each)
    assert shown == ["T=12, update 50, 1 solved"]
