"""What the benchmark of choosing again calls held, and what it calls agreement."""

from dataclasses import replace

import pytest

from pipeline.horizon.random_effects import Another, Horizons, another
from tests.benchmarks.retuning import agree, agreements, below, held
from tests.conftest import compose
from tests.horizon.test_random_effects import above, found

OPTIONS = replace(compose().search, length_min=8, length_max=512, level=0.9)


@pytest.fixture(scope="module")
def said() -> Another:
    """Three choices that are some third of an octave apart."""
    return another({"a": Horizons([found(6.0), found(6.3), found(5.7)], OPTIONS)})["a"]


def test_a_horizon_is_held_where_the_report_gives_it_weight(said: Another) -> None:
    assert held(said, found(6.0)) and held(said, found(6.4))
    assert not held(said, found(7.5)) and not held(said, found(4.5))
    assert below(said, found(6.0)) == pytest.approx(0.5, abs=0.03)
    assert below(said, found(4.5)) < 0.05 < 0.95 < below(said, found(7.5))


def test_what_the_search_itself_does_not_know_counts(said: Another) -> None:
    place = next(p / 100 for p in range(600, 900) if not held(said, found(p / 100, 0.05)))
    assert held(said, found(place, 0.6))


def test_a_horizon_beyond_the_range_is_held_where_the_report_allows_for_that(said: Another) -> None:
    assert not held(said, above())
    near = another({"a": Horizons([found(8.6), found(8.9), above()], OPTIONS)})["a"]
    assert held(near, above()) and held(near, found(8.8))


def test_horizons_agree_as_their_intervals_and_the_spread_say() -> None:
    assert agree(found(6.0), found(6.2)) and not agree(found(6.0), found(6.3))
    assert agree(found(6.0), found(6.3), spread=0.2) and not agree(found(6.0), found(7.0), spread=0.2)
    assert agree(above(), above()) and not agree(found(8.9), above(), spread=1.0)
    lengths = {"a": [found(6.0), found(6.1), found(6.3)], "b": [above(), above()]}
    assert agreements(lengths, {}) == "3 of 4 (2 of 3 without those beyond the range)"
    assert agreements(lengths, {"a": 0.2}) == "4 of 4 (3 of 3 without those beyond the range)"
