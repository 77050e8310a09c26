"""The stage that writes held-out sequences."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline import prepare
from pipeline.data import held_out
from pipeline.data.held_out import HeldOut
from pipeline.runs import prepared
from tests.conftest import Ended, compose, options, run_stage

SIZES = "data.held_out=20 search.length_min=12 search.length_max=48 search.per_octave=2"
LADDER = [12, 17, 24, 34, 48]  # 12 x sqrt(2)^i, rounded


def run(tmp_path: Path, more: str = "task=copy") -> Ended:
    return run_stage(prepare.main, f"{SIZES} paths.data={tmp_path} {more}")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_is_a_file_for_each_length_of_the_ladder_and_a_description(tmp_path: Path) -> None:
    assert run(tmp_path).status == 0
    assert contents(tmp_path).keys() == {"copy/task.json", *(f"copy/held_out/{length:05d}.npz" for length in LADDER)}


@pytest.mark.parametrize("task", options("task"))
def test_the_description_says_what_the_sequences_are(tmp_path: Path, task: str) -> None:
    ended = run(tmp_path, f"task={task}")
    made = compose(f"task={task}").task
    told = json.loads((tmp_path / task / "task.json").read_text())
    expected = {"task": task, "source": made.source, "kind": made.kind, "chance": made.chance, "goal": made.goal}
    assert expected.items() <= told.items()
    assert told["identity"]["generator"] == type(made).__name__
    assert told["versions"]["numpy"] == np.__version__
    sequences = HeldOut(made, 1, 20, tmp_path / task)
    drawn = {str(length): held_out.digest_of(held_out.draw(made, 1, length, 20)) for length in LADDER}
    assert told["lengths"] == drawn == {str(length): sequences.digest(length) for length in LADDER}
    assert ended.out == f"{tmp_path / task}: 20 sequences for each of 5 lengths, digest {told['digest']}\n"


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path)
    first = contents(tmp_path)
    run(tmp_path)
    assert contents(tmp_path) == first
    assert not any(str(tmp_path).encode() in content for content in first.values())


def test_another_seed_gives_another_digest(tmp_path: Path) -> None:
    digests = set()
    for seed in (1, 2):
        run(tmp_path, f"task=copy data.seed={seed}")
        digests.add(json.loads((tmp_path / "copy" / "task.json").read_text())["digest"])
    assert len(digests) == 2


def test_lengths_that_are_no_longer_asked_for_are_removed(tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, "task=copy search.length_max=24")
    assert contents(tmp_path).keys() == {
        "copy/task.json",
        *(f"copy/held_out/{length:05d}.npz" for length in LADDER[:3]),
    }


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr("pipeline.data.held_out.encode", lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, "task=copy data.seed=2")
    assert contents(tmp_path) == before


def test_what_is_prepared_is_not_prepared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = compose("task=copy", *SIZES.split(), f"paths.data={tmp_path}")
    prepared.ensure_prepared(settings)
    before = contents(tmp_path)
    monkeypatch.setattr("pipeline.runs.prepared.prepare", lambda settings: 1 / 0)
    assert prepared.ensure_prepared(settings).sequences(12).inputs.shape[1] == 20
    assert contents(tmp_path) == before


def test_a_default_ladder_has_eight_lengths_in_each_doubling() -> None:
    settings = compose("task=adding", "search.length_min=64", "search.length_max=512")
    lengths = prepared.lengths(settings)
    assert (lengths[0], lengths[-1], len(lengths)) == (64, 512, 3 * settings.search.per_octave + 1)
    steps = [math.log2(b / a) for a, b in pairwise(lengths)]
    assert max(steps) < 1.2 / 8
    assert min(steps) > 0.8 / 8
