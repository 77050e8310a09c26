"""An answer in words says no more than is known."""

import pytest

from pipeline.horizon.estimate import Estimate
from pipeline.records.labels import cell_label
from pipeline.records.wording import phrase, probability
from tests.conftest import compose, options
from tests.records.made import estimate


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (estimate(66.85, 57.71, 83.56), "67 (58 to 84)"),
        (estimate(6.38, 5.42, 7.71), "6.4 (5.4 to 7.7)"),
        (estimate(None, 512.0, None, "above"), "above 512"),
        (estimate(None, None, 8.0, "below"), "below 8"),
        (estimate(None, None, None, "undefined"), "undefined (P = 0.25)"),
        (estimate(155.0, 14.0, None), "at least 14"),
        (estimate(None, 308.0, None), "at least 308"),
        (estimate(100.0, 14.0, 900.0), "at least 14"),
        (estimate(5.0, None, 9.5), "at most 9.5"),
    ],
)
def test_an_estimate_is_said_with_no_more_than_is_known(given: Estimate, words: str) -> None:
    assert phrase(given) == words


@pytest.mark.parametrize(
    ("chance", "words"), [(0.6249, "0.62"), (0.999, "above 0.99"), (0.001, "below 0.01"), (1.0, "above 0.99")]
)
def test_a_probability_is_never_rounded_to_certainty(chance: float, words: str) -> None:
    assert probability(chance) == words


def test_a_cell_is_spelled_as_its_class_is() -> None:
    for name in options("cell"):
        part = compose(f"cell={name}").tree["cell"]
        assert cell_label(name, part).lower().replace(" ", "") == name.replace("_", "")
    assert cell_label("lstm", {"_target_": "pipeline.cells.lstm.LSTM"}) == "LSTM"
    assert cell_label("min_gru", {"_target_": "mine.MinGRU"}) == "MinGRU"
    assert cell_label("gru_reset_after", {"_target_": "pipeline.cells.gru.GRU"}) == "gru reset after"  # a variant
