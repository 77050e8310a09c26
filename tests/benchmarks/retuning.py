"""Do the intervals that count the luck of the choice hold what fresh choices find? Some minutes of training a pair.

    python -m tests.benchmarks.retuning [copy-lstm temporal_order-rnn …]

For each pair, settings are chosen with seeds that neither conf/tuned nor results/retune has, as `pipeline.retune` does,
and their horizons searched. The report says beforehand, from the other choices, where such a horizon lies. It is held
if what its search measures lies within the 90 % interval of what the report says and the search's own error together;
one beyond the range, if the report gives what is beyond it at least 5 %.

Two horizons agree where the distance of their medians, in octaves, is what their intervals make likely,
|m_1 - m_2| <= sqrt(w_1^2 + w_2^2) with w half an interval: once that of the search, and once widened by the spread of
choices that the report states; and where both lie beyond the same end of the range.

Horizons beyond the range agree, and are held, because the range is short, so each count stands there without them, too.
The choices of the report made its intervals themselves; fresh ones, on weights and sequences of their own, are a test.

A choice that was made before, by the same code with the same settings, is read from the result file; so is its search.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import hypot, log2
from pathlib import Path

import optuna
import yaml
from scipy.special import ndtr

from pipeline.base.errors import require
from pipeline.base.files import write_json
from pipeline.base.terminal import open_display
from pipeline.base.trees import as_json
from pipeline.horizon import random_effects
from pipeline.horizon.estimate import Estimate
from pipeline.horizon.random_effects import Another, Horizons
from pipeline.records.choices import beside
from pipeline.records.horizon import read_horizon
from pipeline.records.reading import read_json
from pipeline.records.settings import read_settings
from pipeline.records.wording import phrase
from pipeline.runs import retune
from pipeline.runs.prepared import held_out_of
from pipeline.runs.studies import tuning_name
from pipeline.settings import CONF, Settings
from pipeline.tuning.record import Choice
from tests.conftest import compose

SEEDS = (3, 4, 5)  # results/retune has 1 and 2
LEVEL = 0.9  # of all intervals
Z = 1.6448536  # half of one, in standard deviations of a normal distribution
RESULT = Path("results/benchmarks/retuning.json")


def grid() -> list[str]:
    """The pairs of the default grid."""
    default = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    return [f"{task}-{cell}" for task, cell in product(default["tasks"], default["cells"])]


def of_pair(pair: str, *overrides: str) -> Settings:
    """The settings of a pair, as its commands have them."""
    task, _, cell = pair.rpartition("-")
    return compose(f"task={task}", f"cell={cell}", *overrides)


def known(pair: str) -> tuple[Horizons, list[float]]:
    """What results/search and results/retune hold of a pair, and what its choices cost, in searches."""
    settings = of_pair(pair)
    horizon = read_horizon(settings.results_of("search") / "horizon.json")
    used = read_settings(settings.results_of("search") / "settings.json")
    again = (
        beside(settings.results_of("retune") / "retune.json", horizon.tuned.study, used.tree) if horizon.tuned else ()
    )
    if not again or not horizon.tuned or set(SEEDS) & {retune.first_choice(settings).seed, *(c.seed for c in again)}:
        raise SystemExit(f"{pair} must have been chosen again with this code, these settings and seeds not in {SEEDS}")
    costs = [horizon.tuned.cost / horizon.compute, *(each.tuned_searches for each in again)]
    return Horizons([horizon.t50, *(each.horizon for each in again)], settings.search), costs


def fresh(pair: str, rows: dict[str, Choice]) -> Iterator[Choice]:
    """Choices with other seeds, and their horizons; from `rows` where they are there."""
    with tempfile.TemporaryDirectory() as state, open_display(pair) as shown:
        settings = of_pair(pair, f"paths.state={state}")
        first = retune.first_choice(settings)
        for seed in SEEDS:
            mine = retune.with_seed(settings, seed)
            name = tuning_name(mine)
            rows[name] = retune.retune_once(mine, first, held_out_of(settings), shown, rows.get(name))
            write_json(RESULT, as_json(rows))
            yield rows[name]


def below(said: Another, horizon: Estimate) -> float:
    """The probability, by what the report says, that a search measures less than this; at a limit, than the limit."""
    places, weights = said.horizon.grid.theta, said.horizon.theta
    if horizon.median is None:
        return float(weights[places < log2(horizon.lower or horizon.upper or 1.0)].sum())
    middle, error = random_effects.centre(horizon, LEVEL)
    return float(weights @ ndtr((middle - places) / error))


def held(said: Another, horizon: Estimate) -> bool:
    """Whether a horizon lies where the report says."""
    share = below(said, horizon)
    if horizon.median is None:
        return share <= 0.95 if horizon.lower else share >= 0.05
    return 0.05 <= share <= 0.95


def agree(first: Estimate, second: Estimate, spread: float = 0.0) -> bool:
    """Whether two horizons agree, as their intervals say, with choices that spread by so many octaves."""
    if first.median is None or second.median is None:
        return first.censored == second.censored
    halves = [Z * hypot(random_effects.centre(each, LEVEL)[1], spread) for each in (first, second)]
    return abs(log2(first.median / second.median)) <= hypot(*halves)


def agreements(found: Mapping[str, Sequence[Estimate]], spreads: Mapping[str, float]) -> str:
    """How many of all pairs of horizons agree, in words."""
    both = [(pair, a, b) for pair, each in found.items() for a, b in combinations(each, 2)]
    return counted([(agree(a, b, spreads.get(pair, 0.0)), within(a) or within(b)) for pair, a, b in both])


def within(horizon: Estimate) -> bool:
    """Whether a horizon lies within the range of lengths."""
    return horizon.median is not None


def counted(answers: Sequence[tuple[bool, bool]]) -> str:
    """How many are true, of all and of those that say something: (whether it is true, whether it says something)."""
    telling = [true for true, says in answers if says]
    whole = f"{sum(true for true, _ in answers)} of {len(answers)}"
    return f"{whole} ({sum(telling)} of {len(telling)} without those beyond the range)"


def main() -> None:
    """Print each fresh choice with its horizon and whether that was foreseen, how many agree, and what they cost."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pairs = {pair: known(pair) for pair in grid()}
    before = {pair: horizons for pair, (horizons, _) in pairs.items()}
    said = random_effects.another(before)
    rows = read_json(RESULT, dict[str, Choice], "this benchmark") if RESULT.exists() else {}
    asked = sys.argv[1:] or grid()
    for pair in asked:
        require(pair in before, "each word", f"must be one of {', '.join(before)}", pair)
    after: dict[str, list[Estimate]] = {}
    foreseen: list[tuple[bool, bool]] = []
    costs = [cost for pair in asked for cost in pairs[pair][1]]
    for pair in asked:
        print(f"{pair}: the report says {phrase(said[pair].t50)}, spread {said[pair].spread.median:.2f} octaves")
        for row in fresh(pair, rows):
            after.setdefault(pair, []).append(row.horizon)
            foreseen.append((held(said[pair], row.horizon), within(row.horizon)))
            costs.append(row.tuned_searches)
            words = "" if foreseen[-1][0] else " (outside)"
            print(f"  seed {row.seed}: {phrase(row.horizon)}{words}; cost {costs[-1]:.3g} searches", flush=True)
    spreads = {pair: said[pair].spread.median for pair in asked}
    known_before = {pair: list(before[pair].found) for pair in asked}
    print(f"fresh horizons within the 90 % interval that the report states: {counted(foreseen)}")
    for words, found in (("the report's choices, which made them", known_before), ("the fresh choices", after)):
        print(f"pairs of horizons of {words}, that agree")
        print(f"  by the intervals of their searches: {agreements(found, {})}")
        print(f"  with the spread of choices:         {agreements(found, spreads)}")
    dear = ", ".join(f"{cost:.3g}" for cost in sorted(costs) if cost > 3)
    print(
        f"cost, all choices: {sum(cost <= 3 for cost in costs)} of {len(costs)} at most three searches; above: {dear}"
    )


if __name__ == "__main__":
    main()
