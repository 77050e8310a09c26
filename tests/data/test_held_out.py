"""The held-out sequences: their files hold what was drawn, or say that they do not."""

import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.data import held_out
from pipeline.data.held_out import HeldOut, digest_of, draw, encode, file_name
from pipeline.tasks.copy import Copy
from pipeline.tasks.task import Batch, Task

LENGTHS = (12, 13)  # at least the shortest of every task


def same(one: Batch, other: Batch) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)


def prepared(task: Task, folder: Path, seed: int = 1, count: int = 30) -> HeldOut:
    """A folder with files for two lengths."""
    sequences = HeldOut(task, seed, count, folder)
    (folder / "held_out").mkdir(parents=True)
    digests = {}
    for length in LENGTHS:
        batch = draw(task, seed, length, count)
        (folder / file_name(length)).write_bytes(encode(batch))
        digests[str(length)] = digest_of(batch)
    description = {"identity": sequences.identity(), "lengths": digests, "digest": "0"}
    (folder / held_out.DESCRIPTION).write_text(json.dumps(description))
    return sequences


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_files_hold_exactly_what_was_drawn(task: Task, tmp_path: Path) -> None:
    sequences = prepared(task, tmp_path)
    for length in LENGTHS:
        assert same(sequences.sequences(length), draw(task, 1, length, 30))
        assert sequences.digest(length) == digest_of(draw(task, 1, length, 30))


def test_the_same_sequences_give_the_same_bytes(task: Task) -> None:
    assert encode(draw(task, 1, 12, 30)) == encode(draw(task, 1, 12, 30))


def test_a_length_without_a_file_is_drawn(task: Task, tmp_path: Path) -> None:
    assert same(prepared(task, tmp_path).sequences(17), draw(task, 1, 17, 30))


def test_a_task_that_is_not_prepared_is_drawn(task: Task, tmp_path: Path) -> None:
    sequences = HeldOut(task, 1, 30, tmp_path / "nothing")
    assert not sequences.prepared()
    assert same(sequences.sequences(12), draw(task, 1, 12, 30))


@pytest.mark.parametrize("changed", [{"seed": 2}, {"count": 31}])
def test_files_of_other_settings_are_not_used(task: Task, tmp_path: Path, changed: dict[str, int]) -> None:
    other = replace(prepared(task, tmp_path), **changed)  # type: ignore[arg-type]
    assert same(other.sequences(12), draw(task, other.seed, 12, other.count))


def test_goals_do_not_change_the_identity_of_the_data(task: Task, tmp_path: Path) -> None:
    stricter = replace(task, goal=task.goal / 2, loose_goal=task.loose_goal / 2)
    one, other = (HeldOut(each, 1, 30, tmp_path).identity() for each in (task, stricter))
    assert one == other


def test_settings_of_the_generator_change_the_identity_of_the_data(tmp_path: Path) -> None:
    copy = Copy(goal=0.01, loose_goal=0.1, message=3, alphabet=8)
    made = [
        HeldOut(each, 1, 30, tmp_path).identity()
        for each in (copy, replace(copy, message=4), replace(copy, alphabet=7))
    ]
    made.append(HeldOut(copy, 2, 30, tmp_path).identity())
    assert all(one != other for index, one in enumerate(made) for other in made[:index])


def test_a_truncated_file_is_a_sentence(task: Task, tmp_path: Path) -> None:
    sequences = prepared(task, tmp_path)
    path = tmp_path / file_name(12)
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="can't be read as held-out sequences"):
            sequences.sequences(12)


def test_a_missing_file_is_a_sentence(task: Task, tmp_path: Path) -> None:
    sequences = prepared(task, tmp_path)
    (tmp_path / file_name(12)).unlink()
    with pytest.raises(UserError, match="can't be read as held-out sequences"):
        sequences.sequences(12)


def test_a_file_of_another_length_is_noticed(task: Task, tmp_path: Path) -> None:
    sequences = prepared(task, tmp_path)
    (tmp_path / file_name(12)).write_bytes((tmp_path / file_name(13)).read_bytes())
    with pytest.raises(UserError, match=r"does not hold the sequences that task\.json names"):
        sequences.sequences(12)


def test_one_changed_value_is_noticed(task: Task, tmp_path: Path) -> None:
    sequences = prepared(task, tmp_path)
    batch = draw(task, 1, 12, 30)
    inputs = batch.inputs.copy()
    inputs.flat[7] = 1 - inputs.flat[7] if inputs.flat[7] in (0, 1) else 0
    (tmp_path / file_name(12)).write_bytes(encode(Batch(inputs, batch.targets)))
    with pytest.raises(UserError, match="does not hold the sequences"):
        sequences.sequences(12)


@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255))
def test_a_damaged_byte_is_a_sentence_or_does_no_harm(tmp_path: Path, place: float, byte: int) -> None:
    batch = draw(Copy(goal=0.01, loose_goal=0.1, message=3, alphabet=8), 1, 12, 30)
    damaged = bytearray(encode(batch))
    damaged[int(place * len(damaged))] ^= byte
    path = tmp_path / "damaged.npz"
    path.write_bytes(damaged)
    try:
        found = held_out.read(path, digest_of(batch))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert same(found, batch)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    objects = io.BytesIO()
    np.savez(objects, inputs=np.array([Bomb(mark)], dtype=object), targets=np.zeros(1))
    for content in (objects.getvalue(), pickle.dumps(Bomb(mark))):
        path = tmp_path / "bomb.npz"
        path.write_bytes(content)
        with pytest.raises(UserError, match="can't be read as held-out sequences"):
            held_out.read(path, "0")
        assert not mark.exists()


def test_a_file_of_another_format_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "array.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="can't be read as held-out sequences"):
        held_out.read(path, "0")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"identity": 1}', '{"identity": {}, "lengths": 3, "digest": ""}']
)
def test_a_description_that_is_none_is_a_sentence(task: Task, tmp_path: Path, text: str) -> None:
    sequences = prepared(task, tmp_path)
    (tmp_path / held_out.DESCRIPTION).write_text(text)
    with pytest.raises(UserError, match="is not a task description"):
        sequences.sequences(12)


@pytest.mark.parametrize(
    "other",
    [
        Batch(np.zeros((3, 2), np.uint8), np.zeros((2, 2), np.int64)),
        Batch(np.zeros((2, 3), np.uint8), np.zeros((1, 3), np.int64)),
        Batch(np.zeros((3, 2, 1), np.float32), np.zeros((1, 2), np.int64)),
    ],
)
def test_the_digest_tells_types_and_shapes_apart(other: Batch) -> None:
    assert digest_of(Batch(np.zeros((3, 2), np.uint8), np.zeros((1, 2), np.int64))) != digest_of(other)
