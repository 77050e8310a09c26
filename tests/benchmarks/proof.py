"""Does the search say the same with other seeds, and the same as a dense grid? On real training, about ten minutes.

    python -m tests.benchmarks.proof [task=temporal_order cell=rnn]

runs ten searches, each with seeds of its own, and one dense grid: 32 replicas at every length of the ladder around the
horizon. The pooled posterior joins the trials of all ten searches.
"""

import json
import sys
from pathlib import Path

import numpy as np
import optuna

from pipeline.executors.inline import Inline
from pipeline.horizon.ladder import ladder
from pipeline.horizon.model import Grid
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior, posterior
from pipeline.runs.prepared import held_out_of
from pipeline.runs.trial import Trial
from pipeline.settings import Settings
from pipeline.study import driver
from pipeline.study.sampler import HorizonSampler
from pipeline.study.trials import observations, seeds_of
from tests.conftest import compose

SEEDS = range(1, 11)
DENSE_SEED, DENSE_TRIALS = 99, 8  # trials at each length of the grid
AROUND = 1.0  # octaves on both sides of the pooled median that the grid covers
RESULT = Path("results/benchmarks/proof.json")


def search(settings: Settings) -> list[Observation]:
    """The trials of one search, in memory."""
    study = optuna.create_study(direction="maximize", sampler=HorizonSampler.of(settings.search))
    driver.search(study, Trial(settings, held_out_of(settings)), settings.search, Inline())
    return observations(study)


def dense(settings: Settings, middle: float) -> list[Observation]:
    """Every length of the ladder within `AROUND` octaves of `middle`."""
    options, trial = settings.search, Trial(settings, held_out_of(settings))
    rungs = ladder(options.length_min, options.length_max, options.per_octave)
    near = [length for length in rungs if abs(np.log2(length / middle)) <= AROUND]
    results = [trial(length, seeds_of(each, options.replicas)) for length in near for each in range(DENSE_TRIALS)]
    return [Observation(result.length, result.solved, result.replicas) for result in results]


def described(belief: Posterior, level: float) -> dict[str, float]:
    """Median and interval in lengths."""
    lower, upper = belief.interval(level)
    return {"median": 2 ** belief.quantile(0.5), "lower": 2**lower, "upper": 2**upper}


def words(found: dict[str, float]) -> str:
    """`67.1 (58.2 to 84.0)`."""
    return f"{found['median']:.1f} ({found['lower']:.1f} to {found['upper']:.1f})"


def main() -> None:
    """Print each search, the pooled median, the grid, and how many intervals hold them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    overrides = sys.argv[1:] or ["task=temporal_order", "cell=rnn"]
    options = compose(*overrides).search
    grid, level = Grid.of(options), options.level
    trials = []
    for seed in SEEDS:
        trials.append(search(compose(*overrides, f"training.seed={seed}")))
        print(
            f"seed {seed}: {words(described(posterior(trials[-1], grid), level))}, {len(trials[-1])} trials", flush=True
        )
    each = [described(posterior(seen, grid), level) for seen in trials]
    pooled = described(posterior([trial for seen in trials for trial in seen], grid), level)
    seen = dense(compose(*overrides, f"training.seed={DENSE_SEED}"), pooled["median"])
    truth = described(posterior(seen, grid), level)
    for name, value in (("pooled", pooled), ("dense grid", truth)):
        holding = sum(found["lower"] <= value["median"] <= found["upper"] for found in each)
        print(f"{name}: {words(value)}; {holding} of {len(each)} intervals hold its median")
    lengths = sorted({trial.length for trial in seen})
    counts = {length: sum(trial.solved for trial in seen if trial.length == length) for length in lengths}
    print(f"dense grid, solved of {DENSE_TRIALS * options.replicas}: {counts}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps({"searches": each, "pooled": pooled, "dense": truth, "solved": counts}, allow_nan=False, indent=2)
    )


if __name__ == "__main__":
    main()
