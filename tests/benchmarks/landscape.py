"""How far does a cell come with settings of your own? Shows how flat the good region is, and what lies beyond a space.

    python -m tests.benchmarks.landscape copy-lstm optimizer.name=rmsprop optimizer.lr=0.03,0.06 cell.forget_bias=6,8

Every combination of the values that are named, all else plain, trains on the same eight seeds at lengths half an octave
apart, up to the one that only one seed or none solves. The horizon is by Spearman and Kaerber, as in the last round of
a choice (`pipeline.tuning.final`), with its standard error in octaves. The seeds are those of no choice and no search.
"""

import json
import sys
from collections.abc import Sequence
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.errors import require
from pipeline.data.streams import TUNING
from pipeline.horizon.ladder import ladder
from pipeline.runs.choosing import parse_space
from pipeline.runs.race import Trainer
from pipeline.tuning.climbing import Entrant, Train
from pipeline.tuning.final import PER_OCTAVE, Standing
from pipeline.tuning.options import SEEDS as CHOICES
from pipeline.tuning.rounds import EACH_SEED
from tests.conftest import compose

SEEDS = [TUNING + CHOICES * EACH_SEED + place for place in range(8)]  # beyond those of the last choice
ALONE = 1  # seeds that solve a length where settings end
RESULT = Path("results/benchmarks/landscape.json")


def followed(settings: Sequence[dict[str, Any]], lengths: Sequence[int], train: Train) -> list[Standing]:
    """Each of the settings at rising lengths, whatever the others do."""
    standings = [Standing(values, False, seeds=len(SEEDS)) for values in settings]
    front = standings
    for length in lengths:
        outcomes = train([Entrant(standing.values, seed) for standing in front for seed in SEEDS], length, None)
        for index, standing in enumerate(front):
            standing.add(length, outcomes[index * len(SEEDS) : (index + 1) * len(SEEDS)])
        front = [standing for standing in front if standing.solved[-1] > ALONE]
        if not front:
            break
    return standings


def error(standing: Standing) -> float:
    """The standard error of its horizon in octaves, of binomial counts: d sqrt(sum_i p_i (1 - p_i) / n)."""
    shares = [solved / standing.seeds for solved in standing.solved]
    return sqrt(sum(share * (1 - share) for share in shares) / standing.seeds) / PER_OCTAVE


def main() -> None:
    """Print a row for each combination, and keep it in the result file."""
    pair, *words = sys.argv[1:]
    task, cell = pair.split("-")
    given = compose(f"task={task}", f"cell={cell}")
    _, plain = parse_space(given)
    varied = {name: [yaml.safe_load(value) for value in values.split(",")] for name, values in map(parted, words)}
    for name in varied:
        require(name in plain, pair, f"has the settings {', '.join(plain)}", name)
    points = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    lengths = ladder(given.search.length_min, given.search.length_max, PER_OCTAVE)
    rows = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    standings = followed([plain | point for point in points], lengths, Trainer(given))
    for point, standing in zip(points, standings, strict=True):
        named = " ".join(f"{name}={value}" for name, value in point.items())
        rows[f"{pair} {named}"] = {
            "horizon": round(2**standing.octaves, 1),
            "error": round(error(standing), 2),
            "longest": lengths[-1],
            "lengths": standing.lengths,
            "solved": standing.solved,
        }
        print(f"{2**standing.octaves:6.1f}  {named}  {standing.solved}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row, allow_nan=False)}" for name, row in rows.items())
    RESULT.write_text(f"{{\n{lines}\n}}\n")


def parted(word: str) -> tuple[str, str]:
    """NAME=VALUES in two."""
    name, _, values = word.partition("=")
    return name, values


if __name__ == "__main__":
    main()
