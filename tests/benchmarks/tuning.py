"""Does a choice of settings with other seeds lead to the same horizon? On real training, some minutes for each choice.

    python -m tests.benchmarks.tuning [copy-lstm temporal_order-rnn …] [tune.settings=24 …]

For each pair and each of `SEEDS`: choose settings as `pipeline.tune` does, then search their horizon, on replicas that
no choice uses. The first is what stands in conf/tuned and results/search. Two horizons agree where the distance of
their medians, in octaves, is what their credible intervals make likely: |m_1 - m_2| <= sqrt(w_1^2 + w_2^2), w half an
interval; and where both lie beyond the same end of the range. A choice that was made before, by the same code with the
same settings, is read from the result file.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from math import hypot, log2
from pathlib import Path
from typing import Any

import optuna
import yaml

from pipeline import tune
from pipeline.horizon import driver
from pipeline.horizon.report import horizon_from
from pipeline.horizon.sampler import HorizonSampler
from pipeline.horizon.trials import observations
from pipeline.learning.training import Training
from pipeline.prepare import held_out_of
from pipeline.race import Trainer
from pipeline.records import phrase
from pipeline.settings import CONF, Settings, check_parts, section
from pipeline.trial import Trial
from pipeline.tuned import file_of, read
from pipeline.tuning.study import Tuning
from tests.conftest import compose

SEEDS = (1, 2)
RESULT = Path("results/benchmarks/tuning.json")


def pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Task and cell of the default grid, or those that are named."""
    default = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    for task, cell in product(default["tasks"], default["cells"]):
        if not words or f"{task}-{cell}" in words:
            yield task, cell


def searched(settings: Settings) -> dict[str, Any]:
    """The horizon with these settings, as horizon.json states it, and what its search took."""
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler.of(settings.search))
    driver.search(study, Trial(settings, held_out_of(settings)), settings.search, driver.Inline())
    found = horizon_from(observations(study), settings.search)
    return found.t50.as_dict() | {"trials": found.trials, "compute": found.compute}


def chosen(settings: Settings) -> dict[str, Any]:
    """What one choice comes to, and the horizon that it leads to."""
    space, plain = tune.asked(settings)
    base = read(file_of(settings))["provenance"]["plain"]
    question = tune.question_of(settings, space, plain, base)
    study = optuna.create_study(direction="maximize", sampler=tune.sampler(settings, 0))
    found = Tuning(study, question, settings.tune, Trainer(settings), lambda g: tune.sampler(settings, g)).run()
    best = found.order[0]
    horizon = searched(with_values(settings, tune.sections_of(settings, best.values)))
    return {
        "seed": settings.tune.seed,
        "chosen": dict(best.values),
        "octaves": best.octaves,
        "cost": found.cost,
        "plain_searches": found.cost / question.search_cost,
        "tuned_searches": found.cost / horizon["compute"],
        "horizon": horizon,
    }


def with_values(settings: Settings, sections: dict[str, dict[str, Any]]) -> Settings:
    """The settings with those that were chosen."""
    tree = dict(settings.tree)
    for name, values in sections.items():
        tree[name] = dict(values) if name == "optimizer" else {**tree[name], **values}
    found = replace(settings, tree=tree, training=section("training", Training, tree["training"]))
    check_parts(found)
    return found


def committed(settings: Settings) -> dict[str, Any]:
    """The choice in conf/tuned, and its horizon in results/search."""
    horizon = json.loads((settings.results_of("search") / "horizon.json").read_text())
    provenance = read(file_of(settings))["provenance"]
    return {
        "seed": provenance["seed"],
        "cost": provenance["cost"],
        "plain_searches": provenance["searches"],
        "tuned_searches": provenance["cost"] / horizon["compute"],
        "horizon": horizon["t50"],
    }


def agree(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two horizons agree as their intervals say."""
    if first["median"] is None or second["median"] is None:
        return bool(first["censored"] == second["censored"])
    halves = [log2(each["upper"] / each["lower"]) / 2 for each in (first, second)]
    return abs(log2(first["median"] / second["median"])) <= hypot(*halves)


def main() -> None:
    """Print each choice with its horizon, and how many pairs of horizons agree."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    overrides = [word for word in sys.argv[1:] if "=" in word]
    rows = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    agreed = []
    for task, cell in pairs([word for word in sys.argv[1:] if "=" not in word]):
        named = [f"task={task}", f"cell={cell}", *overrides]
        found = [committed(compose(*named))]
        for seed in SEEDS:
            settings = compose(*named, f"tune.seed={seed}")
            key = tune.study_name(settings)
            rows[key] = rows.get(key) or chosen(settings)
            RESULT.write_text(json.dumps(rows, indent=2) + "\n")
            found.append(rows[key])
        for row in found:
            cost = f"{row['tuned_searches']:.1f} searches, {row['plain_searches']:.1f} with plain settings"
            print(f"{task} {cell}, seed {row['seed']}: {phrase(row['horizon'])}; cost {cost}", flush=True)
        agreed += [agree(one["horizon"], other["horizon"]) for one, other in combinations(found, 2)]
    print(f"{sum(agreed)} of {len(agreed)} pairs of horizons agree")


if __name__ == "__main__":
    main()
