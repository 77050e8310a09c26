"""The small helpers that several rooms share."""

import hashlib
from math import inf, nan
from pathlib import Path

from pipeline.base.files import digest
from pipeline.base.numbers import LOG10_2, finite, significant
from pipeline.base.trees import flatten


def test_numbers_keep_few_digits() -> None:
    assert (significant(123456789.0), significant(0.00012345678), significant(2.5, 1)) == (123457000.0, 0.000123457, 2)
    assert [finite(value) for value in (inf, -inf, nan, 1 / 3)] == [None, None, None, 0.333333]
    assert 10**LOG10_2 == 2


def test_nested_settings_have_full_names() -> None:
    assert flatten(
        {"training": {"length": 20, "test_lengths": [1]}, "data": {"seed": 0}, "fresh": None, "none": {}}
    ) == {
        "training.length": 20,
        "training.test_lengths": [1],
        "data.seed": 0,
        "fresh": None,
    }


def test_a_digest_is_that_of_all_parts_joined(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00\xff")
    whole = hashlib.sha256("aé".encode() + b"\x00\xff" + b"z").hexdigest()
    assert digest("aé", path, b"z") == whole[:16] and digest("aé", path, b"z", digits=8) == whole[:8]
