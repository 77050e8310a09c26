"""conf/tuned/TASK-CELL.yaml is read back as it was written."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.tuned_file import scalar, text

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text("ab: #'\"{[é,")
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4)


@given(VALUES)
def test_a_value_is_read_back(value: Any) -> None:
    assert yaml.safe_load(f"x: {scalar(value)} # 3")["x"] == value


@given(st.floats(1e-12, 1e12))
def test_a_number_is_read_back_as_a_number(value: float) -> None:
    assert isinstance(yaml.safe_load(f"x: {scalar(value)}")["x"], float)


def test_a_file_holds_settings_with_the_plain_values_beside_them_and_where_they_come_from() -> None:
    settings = {"optimizer": {"_target_": "torch.optim.Adam", "lr": 3e-5}, "cell": {"init": "torch"}}
    provenance = {"study": "s", "cost": 12, "importance": {}, "curve": {"rates": [1e-5, 2.0]}, "plain": {"upper": None}}
    written = text("adding", "rnn", settings, {"optimizer.lr": 0.003}, provenance)
    assert yaml.safe_load(written) == {**settings, "provenance": provenance}
    assert "lr: 3.0e-05 # plain: 0.003" in written
    assert "pipeline.tune task=adding cell=rnn" in written.splitlines()[0]
