"""Does the search say the same with other seeds, and the same as a dense grid? On real training, half an hour a pair.

    python -m tests.benchmarks.proof adding-lstm
    python -m tests.benchmarks.proof temporal_order-gru --searches 10 --replicas 32

makes searches of a pair with its tuned settings, each with seeds of its own, and one dense grid with other seeds again:
some replicas at every length of a ladder around the horizon. The truth is the curve fitted to the grid alone; counted
is how many of the searches' intervals hold its median. T90 is not asked for. Writes results/benchmarks/proof.json after
each search and each length, and goes on from there when it is killed and started again.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from pipeline.base.files import write_json
from pipeline.base.trees import as_json
from pipeline.executors.inline import Inline
from pipeline.horizon.answer import horizon_from
from pipeline.horizon.estimate import Estimate
from pipeline.horizon.ladder import ladder
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import posterior
from pipeline.runs.prepared import held_out_of
from pipeline.runs.trial import Trial
from pipeline.settings import Settings, compose
from pipeline.settings.fingerprint import fingerprint
from pipeline.settings.tuned import tuned
from pipeline.study import driver
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import observations, seeds_of

DENSE_SEED = 99
AROUND, PER_OCTAVE = 0.75, 4  # octaves on both sides of the median of the searches that the grid covers, and its steps
RESULT = Path("results/benchmarks/proof.json")


def settings_of(pair: str, seed: int) -> Settings:
    """Return the tuned settings of a pair with seeds of its own."""
    task, _, cell = pair.rpartition("-")
    words = (f"training.seed={seed}", "search.t90=false", "training.threads=1", "tracking.enabled=false")
    return tuned(compose(f"task={task}", f"cell={cell}", *words))


def kept(settings: Settings, name: str, make: Callable[[], list[Observation]]) -> list[Observation]:
    """Return trials from their file in .state, or make and keep them."""
    path = settings.state / ".state" / "proof" / f"{name}-{fingerprint(settings)}.json"
    if not path.exists():
        found = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, [asdict(each) for each in found])
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return [Observation(**row | {"updates": tuple(row["updates"])}) for row in rows]


def search(settings: Settings) -> list[Observation]:
    """Return the trials of one search."""
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler.of(settings.search))
    driver.search(study, Trial(settings, held_out_of(settings)), settings.search, Inline())
    return observations(study)


def dense(settings: Settings, length: int, replicas: int) -> list[Observation]:
    """Return the trials of one length of the grid."""
    trial, each = Trial(settings, held_out_of(settings)), settings.search.replicas
    results = [trial(length, seeds_of(number, each)) for number in range(replicas // each)]
    return [Observation(result.length, result.solved, result.replicas) for result in results]


def described(seen: Sequence[Observation], settings: Settings) -> Estimate:
    """Return T50 as a curve says that is fitted to these trials alone."""
    belief = posterior(seen, Grid.of(settings.search))
    lower, upper = belief.interval(settings.search.level)
    return Estimate(2 ** belief.quantile(0.5), 2**lower, 2**upper)


def compared(each: Sequence[Estimate], truth: Estimate | None) -> dict[str, Any]:
    """Return how many of the intervals hold the median of the grid; nothing of a search that ended elsewhere."""
    if truth is None or truth.median is None:
        return {}
    located = [(found.lower, found.upper) for found in each if found.lower and found.upper]
    holding = sum(lower <= truth.median <= upper for lower, upper in located)
    return {"dense": as_json(truth), "searches": len(each), "located": len(located), "hold the grid's median": holding}


def grid_of(pair: str, middle: float) -> list[int]:
    """Return the lengths of the dense grid."""
    options = settings_of(pair, DENSE_SEED).search
    rungs = ladder(options.length_min, options.length_max, PER_OCTAVE)
    return [length for length in rungs if abs(np.log2(length / middle)) <= AROUND]


def prove(pair: str, searches: int, replicas: int, target: Path) -> None:
    """Search, go through the grid, print and write as far as it is."""
    each: list[Estimate] = []
    record: dict[str, Any] = {"each": each, "solved": {}}
    for seed in range(1, searches + 1):
        settings = settings_of(pair, seed)
        seen = kept(settings, f"{pair}-search", lambda settings=settings: search(settings))
        each.append(horizon_from(seen, settings.search).t50)
        print(f"{pair}, seeds {seed}: {each[-1]}, {len(seen)} trials", flush=True)
        write(target, pair, record)
    middle = float(np.median([found.median for found in each if found.median]))
    settings, seen = settings_of(pair, DENSE_SEED), []
    for length in grid_of(pair, middle):
        name = f"{pair}-dense-{length}-{replicas}"
        here = kept(settings, name, lambda length=length: dense(settings, length, replicas))
        seen += here
        record["solved"][length] = f"{sum(trial.solved for trial in here)}/{sum(trial.replicas for trial in here)}"
        print(f"{pair}, grid: {length} is solved by {record['solved'][length]}", flush=True)
        write(target, pair, record)
    record |= compared(each, described(seen, settings))
    write(target, pair, record)
    print({name: value for name, value in record.items() if name != "each"})


def write(target: Path, pair: str, record: dict[str, Any]) -> None:
    """Put what is known of one pair beside that of the others."""
    others = json.loads(target.read_text()) if target.exists() else {}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {**others, pair: as_json(record)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=["adding-lstm", "temporal_order-gru"])
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--replicas", type=int, default=32, help="at each length of the grid")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the comparison goes")
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in chosen.pairs:
        prove(name, chosen.searches, chosen.replicas, chosen.json)
