"""How far the compute that a search still took differed from what was foreseen, after each trial of committed searches.

    python -m tests.benchmarks.time_left

prints quantiles of their ratio, where the interval was narrow enough for a guess. By them a search says a range of
time on the terminal (`pipeline/runs/watcher.py`).
"""

import numpy as np

from pipeline.horizon.acquisition import remaining_compute
from pipeline.horizon.findings import Findings
from pipeline.records.trials import read_trials
from pipeline.runs.watcher import VAGUE
from pipeline.settings import ROOT, compose
from pipeline.settings.tuned import tuned


def ratios() -> list[float]:
    """Return the compute that was left over that which was foreseen, for each trial but the last of each search."""
    found = []
    for folder in sorted((ROOT / "results/search").iterdir()):
        task, _, cell = folder.name.rpartition("-")
        options = tuned(compose(f"task={task}", f"cell={cell}")).search
        seen = [trial.observation for trial in read_trials(folder / "trials.csv")]
        for count in range(1, len(seen)):
            so_far = Findings.of(seen[:count], options)
            if so_far.posterior.octaves(options.level) <= VAGUE:
                found.append(sum(trial.cost for trial in seen[count:]) / max(remaining_compute(so_far), 1.0))
    return found


if __name__ == "__main__":
    measured = ratios()
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        print(f"{share:4.0%}  {np.quantile(measured, share):.2g}")
    print(f"{len(measured)} moments")
