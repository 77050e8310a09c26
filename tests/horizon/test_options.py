"""Every option out of range is one sentence."""

from typing import Any

import pytest

from pipeline.base.errors import UserError
from tests.study.toy import options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("length_min", 0),
        ("length_max", 4),
        ("replicas", 0),
        ("factor", 1.0),
        ("level", 1.0),
        ("certainty", 0.5),
        ("trials", 0),
        ("compute", 0.0),
        ("leap", 1.0),
        ("per_octave", 0),
        ("t90_trials", -1),
        ("budgets", 0),
    ],
)
def test_a_value_out_of_range_is_named_with_its_rule_and_what_it_was(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^search\.{name} (must|is a).*; got {value!r}$"):
        options(**{name: value}).check()


def test_good_options_pass() -> None:
    options(compute=1e9, t90=True).check()
