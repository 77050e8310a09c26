"""A whole tuning of a toy: it finds what the toy hides, keeps to its cost, and goes on where it was killed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.streams import TUNING
from pipeline.study.opening import open_study
from pipeline.study.trials import seeds_of
from pipeline.tuning.rounds import (
    CURVE,
    EACH_SEED,
    FINAL,
    GENERATIONS,
    TYPICAL,
    Chosen,
    Tuning,
    complete_trials,
    importance,
    seed_of,
)
from tests.tuning.toy_tuning import BEST, BUDGET, PLAIN, Killed, Toy, options, question, sampler


def tune(path: Path, toy: Toy, **changes: Any) -> tuple[Chosen, Tuning]:
    study = open_study(f"sqlite:///{path}", "tune", sampler(0))
    made = Tuning(study, question(), options(**changes), toy, sampler)
    return made.run(), made


def test_it_finds_the_learning_rate_that_the_toy_hides(tmp_path: Path) -> None:
    chosen, made = tune(tmp_path / "study.db", Toy(), generations=6, first=12, settings=12)
    values = chosen.order[0].values
    assert BEST / 3 < values["optimizer.lr"] < 3 * BEST
    assert values["cell.init"] == "orthogonal"
    assert 2 ** chosen.order[0].octaves > 4 * 12  # the plain settings reach 13
    assert max(importance(made.study).items(), key=lambda each: each[1])[0] == "optimizer.lr"
    assert len(chosen.climbs) == 72
    assert [trial.user_attrs["ordinal"] for trial in complete_trials(made.study)] == list(range(72))


@pytest.mark.parametrize("searches", [1.0, 2.0, 3.0])
def test_a_choice_costs_no_more_than_its_searches(tmp_path: Path, searches: float) -> None:
    chosen, made = tune(tmp_path / "study.db", Toy(), searches=searches, generations=20)
    longest = sorted(each.solved_length for each in chosen.climbs)[-2]
    horizon = max(longest, question().search_horizon)
    allowed = searches * TYPICAL * question().replicas * BUDGET * horizon  # less than 50 x BUDGET x horizon
    assert chosen.cost <= allowed == pytest.approx(made.allowance(chosen.climbs))
    assert chosen.generations < 20
    spent = sum(each.cost for each in chosen.climbs) + sum(each.cost for each in chosen.order)
    assert chosen.cost == spent


def test_a_cheap_plain_search_lets_a_choice_cost_less(tmp_path: Path) -> None:
    made = Tuning(
        open_study(f"sqlite:///{tmp_path / 'study.db'}", "tune", sampler(0)), question(), options(), Toy(), sampler
    )
    cheap = replace(made, question=question(search_cost=2.0 * 50 * BUDGET))
    assert cheap.allowance([]) == pytest.approx(made.allowance([]) * 2 / (TYPICAL * question().replicas))


def test_beyond_the_range_a_search_only_climbs_so_a_choice_may_cost_less(tmp_path: Path) -> None:
    chosen, made = tune(tmp_path / "study.db", Toy(lambda values: 4.0 * question().longest))
    reached = [each for each in chosen.climbs if each.solved_length == question().longest]
    assert made.is_at_the_end(chosen.climbs)
    allowed = made.options.searches * question().replicas * min(each.cost for each in reached)
    assert made.allowance(chosen.climbs) == allowed


def test_where_the_plain_settings_are_the_best_they_stay(tmp_path: Path) -> None:
    def flat(values: Any) -> float:
        return 50.0 if values["optimizer.lr"] == PLAIN["optimizer.lr"] else 20.0

    chosen, _ = tune(tmp_path / "study.db", Toy(flat))
    assert chosen.order[0].plain and dict(chosen.order[0].values) == PLAIN


def test_it_stops_exploring_where_enough_settings_solve_the_longest_length(tmp_path: Path) -> None:
    chosen, _ = tune(tmp_path / "study.db", Toy(lambda values: 5000.0), generations=5)
    assert chosen.generations == 2  # in the first race only one gets there
    assert chosen.order[0].plain  # which no one can beat


def test_where_nothing_is_solved_the_plain_settings_stay(tmp_path: Path) -> None:
    chosen, _ = tune(tmp_path / "study.db", Toy(lambda values: 0.1))
    assert chosen.order[0].plain
    assert chosen.curve["solved"] == [0] * options().rates


def test_killed_at_any_point_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = Toy()
    undisturbed, made = tune(tmp_path / "whole.db", whole, generations=2, first=4, settings=4)
    trials = [(trial.params, trial.value, trial.user_attrs) for trial in complete_trials(made.study)]
    for call in range(len(whole.calls)):
        path = tmp_path / f"{call}.db"
        with pytest.raises(Killed):
            tune(path, Toy(killed_at=call), generations=2, first=4, settings=4)
        resumed, again = tune(path, Toy(), generations=2, first=4, settings=4)
        assert resumed == undisturbed
        assert [(trial.params, trial.value, trial.user_attrs) for trial in complete_trials(again.study)] == trials


def test_a_finished_tuning_trains_nothing_when_it_is_run_again(tmp_path: Path) -> None:
    first, _ = tune(tmp_path / "study.db", Toy())
    toy = Toy()
    second, _ = tune(tmp_path / "study.db", toy)
    assert second == first and not toy.calls


def test_a_trial_that_was_not_yet_noted_when_it_was_killed_is_noted_later(tmp_path: Path) -> None:
    """A generation is kept in one piece; its trials for Optuna follow from it, however many were written."""
    path = tmp_path / "study.db"
    _, made = tune(path, Toy(), generations=1, first=4, settings=4)
    content = made.study.user_attrs["generation 0"]
    empty = open_study(f"sqlite:///{path}", "other", sampler(0))
    empty.set_user_attr("generation 0", content)
    again = Tuning(empty, question(), options(generations=1, first=4, settings=4), Toy(), sampler)
    again.explore()
    assert [trial.value for trial in complete_trials(empty)] == [trial.value for trial in complete_trials(made.study)]


def test_plain_settings_beyond_the_space_compete_and_are_no_trial(tmp_path: Path) -> None:
    far = question(plain=PLAIN | {"optimizer.lr": 5.0})
    study = open_study(f"sqlite:///{tmp_path / 'study.db'}", "tune", sampler(0))
    chosen = Tuning(study, far, options(generations=1, first=4, settings=4), Toy(), sampler).run()
    assert [trial.user_attrs["ordinal"] for trial in complete_trials(study)] == [1, 2, 3]
    assert any(each.plain and each.values["optimizer.lr"] == 5.0 for each in chosen.order)


def test_the_seeds_of_a_choice_are_those_of_no_search_and_of_no_other_round() -> None:
    made = options()
    blocks = {block: {seed_of(made, block, number) for number in range(2000)} for block in (GENERATIONS, FINAL, CURVE)}
    assert sum(map(len, blocks.values())) == len(set.union(*blocks.values())) == 6000
    other = {seed_of(options(seed=1), block, number) for block in blocks for number in range(2000)}
    assert not other & set.union(*blocks.values())
    assert min(set.union(*blocks.values())) >= TUNING > max(seeds_of(10**6, 10**5))
    assert seed_of(options(seed=2**16 - 1), CURVE, 2**18 - 1) < TUNING + EACH_SEED * 2**16 < 2**63


def test_settings_are_tried_on_seeds_of_their_own_and_finalists_on_the_same(tmp_path: Path) -> None:
    toy = Toy()
    tune(tmp_path / "study.db", toy, generations=2, first=4, settings=4)
    seen: dict[int, set[float]] = {}
    for who, _, _ in toy.calls:
        for entrant in who:
            seen.setdefault(entrant.seed, set()).add(entrant.values["optimizer.lr"])
    first = seed_of(options(), FINAL, 0)
    assert all(len(rates) == 1 for seed, rates in seen.items() if seed < first)
    assert max(len(rates) for seed, rates in seen.items() if seed >= first) > 1
    assert question().budget == BUDGET
