"""Where the horizon of one more choice lies: against closed forms, and against choices that are drawn."""

from collections.abc import Iterator
from dataclasses import replace
from math import log2
from pathlib import Path

import numpy as np
import pytest

from pipeline import choices
from pipeline.choices import Choices, another
from pipeline.errors import UserError
from pipeline.files import write_json
from tests.conftest import compose

OPTIONS = replace(compose().search, length_min=8, length_max=512, level=0.9)
Z = 1.6448536  # of a 90 % interval


def found(octaves: float, error: float = 0.1) -> dict:
    ends = {"lower": octaves - Z * error, "median": octaves, "upper": octaves + Z * error}
    return {end: 2.0**place for end, place in ends.items()} | {"censored": None}


def above(limit: float = 512.0) -> dict:
    return {"median": None, "lower": limit, "upper": None, "censored": "above"}


def below(limit: float = 8.0) -> dict:
    return {"median": None, "lower": None, "upper": limit, "censored": "below"}


def one(*estimates: dict) -> choices.Another:
    return another({"a": Choices(estimates, OPTIONS)})["a"]


@pytest.fixture
def known_spread(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Choices whose spread is known, so that sums over a normal distribution have a closed form."""
    choices.steps.cache_clear()
    monkeypatch.setattr(choices, "SPREADS", np.array([0.3]))
    monkeypatch.setattr(choices, "SCALES", np.array([0.3]))
    yield 0.3
    choices.steps.cache_clear()


def moments(belief: choices.Another) -> tuple[float, float]:
    """Mean and standard deviation in octaves."""
    theta, weights = belief.horizon.grid.theta, belief.horizon.theta
    mean = float(theta @ weights)
    return mean, float(((theta - mean) ** 2 @ weights) ** 0.5)


def test_with_a_known_spread_the_horizon_of_one_more_choice_is_normal(known_spread: float) -> None:
    """mu ~ N(weighted mean, 1 / sum of weights), and theta another tau^2 beyond it."""
    places, errors = np.array([5.8, 6.4, 6.1]), np.array([0.1, 0.2, 0.15])
    weights = 1 / (known_spread**2 + errors**2)
    mean = (weights @ places) / weights.sum()
    deviation = (1 / weights.sum() + known_spread**2) ** 0.5
    told = one(*(found(place, error) for place, error in zip(places, errors, strict=True)))
    assert moments(told) == pytest.approx((mean, deviation), abs=0.005)


def test_the_same_settings_found_again_have_the_same_error_and_do_not_average_it_away(known_spread: float) -> None:
    searched = {"trials": 9, "compute": 1e6}  # retune.json says more of a horizon than horizon.json
    told = one(found(6.0, 0.2), *[found(6.0, 0.2) | searched] * 2)
    assert moments(told) == pytest.approx((6.0, (0.2**2 + known_spread**2 / 3 + known_spread**2) ** 0.5), abs=0.005)


def test_the_same_choice_each_time_is_as_sure_as_its_search_and_hardly_surer() -> None:
    lower, upper = one(*[found(6.0, 0.15)] * 3).horizon.interval(0.9)
    assert lower <= 6.0 - Z * 0.15 and upper >= 6.0 + Z * 0.15
    assert upper - lower < 1.6 * 2 * Z * 0.15


def test_choices_that_differ_by_more_than_their_intervals_widen_it() -> None:
    same, apart = one(found(6.0), found(6.05), found(5.95)), one(found(6.0), found(6.9), found(5.3))
    assert apart.spread["median"] > 3 * same.spread["median"]
    assert apart.t50["lower"] < 2**5.3 and apart.t50["upper"] > 2**6.9
    assert same.spread["lower"] <= same.spread["median"] <= same.spread["upper"]


def test_a_pair_with_one_choice_spreads_as_the_others_do() -> None:
    near = {str(n): Choices([found(5 + n / 9), found(5.05 + n / 9), found(4.95 + n / 9)], OPTIONS) for n in range(6)}
    far = {str(n): Choices([found(5 + n / 9), found(6 + n / 9), found(4.4 + n / 9)], OPTIONS) for n in range(6)}
    alone = {"alone": Choices([found(6.0)], OPTIONS)}
    octaves = [another(pairs | alone)["alone"].horizon.octaves(0.9) for pairs in (near, far)]
    assert 2 * Z * 0.1 < octaves[0] < 0.5 * octaves[1]


@pytest.mark.parametrize(("limit", "word"), [(above(), "above"), (below(), "below")])
def test_choices_that_are_all_censored_lead_to_a_censored_one_unless_all_may_spread_far(limit: dict, word: str) -> None:
    near = {str(n): Choices([found(5.0), found(5.05), found(4.95)], OPTIONS) for n in range(6)}
    far = {str(n): Choices([found(5.0), found(6.0), found(4.4)], OPTIONS) for n in range(6)}
    same = {"same": Choices([limit] * 3, OPTIONS)}
    assert another(near | same)["same"].t50["censored"] == word
    assert another(far | same)["same"].t50["censored"] is None


def test_a_censored_choice_among_others_counts_as_beyond_its_limit_only() -> None:
    told = one(found(8.5), above(), above())
    assert told.t50["censored"] is None and 0.5 < told.horizon.above < 0.95
    assert told.horizon.quantile(0.5) > one(found(8.5), found(8.5, 0.11), found(8.5, 0.12)).horizon.quantile(0.5)


def test_an_estimate_of_which_nothing_is_known_says_nothing() -> None:
    nothing = {"median": None, "lower": None, "upper": None, "censored": None}
    assert one(found(6.0), found(6.3), nothing).t50 == one(found(6.0), found(6.3)).t50


def test_a_median_with_one_end_only_is_as_unsure_as_that_end_says() -> None:
    half = found(6.0, 0.2) | {"upper": None}
    assert one(half, found(6.1)).t50 == one(found(6.0, 0.2), found(6.1)).t50


def test_the_order_of_choices_and_pairs_does_not_matter() -> None:
    first, second = [found(6.0), found(6.5), above()], [found(4.0), found(4.6), found(4.1)]
    one_way = another({"a": Choices(first, OPTIONS), "b": Choices(second, OPTIONS)})
    other = another({"b": Choices(second[::-1], OPTIONS), "a": Choices(first[::-1], OPTIONS)})
    for name in "ab":
        assert one_way[name].horizon.theta == pytest.approx(other[name].horizon.theta, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.15, 0.4])
def test_intervals_hold_the_horizon_of_one_more_choice_as_often_as_they_say(sigma: float) -> None:
    """Nine pairs with three choices each, as in the default grid; 360 fresh choices in all."""
    draw = np.random.default_rng(0)
    held = []
    for _ in range(40):
        middles, spreads = draw.uniform(4, 8, 9), np.abs(draw.normal(0, sigma, 9))
        theta = middles[:, None] + spreads[:, None] * draw.normal(size=(9, 4))
        told = theta[:, :3] + 0.1 * draw.normal(size=(9, 3))
        beliefs = another({str(n): Choices([found(y) for y in row], OPTIONS) for n, row in enumerate(told)})
        for n, belief in enumerate(beliefs.values()):
            lower, upper = belief.horizon.interval(0.9)
            held.append(lower <= theta[n, 3] <= upper)
    assert np.mean(held) == pytest.approx(0.9, abs=0.04) if sigma else np.mean(held) > 0.95


@pytest.mark.parametrize("tau", choices.SPREADS[[0, 9, 39]].tolist())
def test_a_step_leads_somewhere_with_certainty(tau: float) -> None:
    place = int(np.flatnonzero(tau == choices.SPREADS)[0])
    table = choices.steps(50)[place]
    assert table.sum(axis=1) == pytest.approx(1.0) and (table >= 0).all()
    centre = table[25] @ np.arange(50)
    assert centre == pytest.approx(25, abs=0.6)
    if log2(tau) < -1:
        assert ((table[25] @ (np.arange(50) - 25.0) ** 2) ** 0.5) * 0.05 == pytest.approx(tau, rel=0.1)


CHOICE = {"seed": 1, "tuned_searches": 1.5, "horizon": found(6.0)}


def test_choices_of_other_settings_or_code_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "retune.json"
    assert choices.read(path, "tune-a-1", "same") == []
    write_json(path, {"like": "tune-a-1", "settings": "same", "choices": [CHOICE]})
    assert [each["seed"] for each in choices.read(path, "tune-a-1", "same")] == [1]
    assert choices.read(path, "tune-a-2", "same") == [] == choices.read(path, "tune-a-1", "other")


def test_settings_are_the_same_but_for_those_that_are_chosen() -> None:
    def told(*words: str) -> str:
        return choices.settings_digest(compose("cell=lstm", *words).recorded, {"cell.forget_bias", "training.clip"})

    assert told() == told("optimizer=rmsprop", "optimizer.lr=0.5", "cell.forget_bias=3", "training.clip=7")
    for word in ("training.updates=7", "cell.hidden=7", "task.goal=0.02", "search.length_max=64", "data.held_out=7"):
        assert told() != told(word), word


def told(estimate: str) -> str:
    """The content of retune.json with one choice that has this horizon."""
    return f'{{"like": "x", "settings": "y", "choices": [{{"seed": 1, "tuned_searches": 2.5, "horizon": {estimate}}}]}}'


HORIZON = '{"median": MEDIAN, "lower": 2.0, "upper": 4.0, "censored": null}'


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "retune.json"
    path.write_text(told(HORIZON.replace("MEDIAN", "3.0")))
    assert [each["horizon"]["median"] for each in choices.read(path, "x", "y")] == [3]


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '{"like": "x"}', '{"like": "x", "settings": "y", "choices": 3}', told("3")),
        *(
            told(HORIZON.replace("MEDIAN", median))
            for median in ("0.0", "-1.0", "NaN", "Infinity", '"3"', "[3]", "true", "1e999", "1e300", "1e-300", "5.0")
        ),
        told(HORIZON.replace("MEDIAN", "3.0")).replace("2.5", "null"),
    ],
)
def test_a_broken_file_is_named_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "retune.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"retune\.json (can't be read|has (no|a value)) .*`python -m pipeline.retune` makes"
    ):
        choices.read(path, "x", "y")
