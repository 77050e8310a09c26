"""Choose settings for a pair again, with other seeds, and find the horizon that each choice leads to.

    python -m pipeline.retune task=copy cell=lstm
    python -m pipeline.retune task=copy cell=lstm retune.choices=5

The interval of a tuned horizon is that of the settings that were chosen. How far another choice would move it, only
another choice can tell: this stage makes some, each with the next seed after the one in conf/tuned, at the same cost,
and searches their horizons as `pipeline.search` does, each with the next `training.seed`, so that no two searches
share weights or sequences. Writes results/retune/TASK-CELL/retune.json, from which the report states where the horizon
of one more choice lies (`pipeline/horizon/random_effects.py`); a parent run in MLflow with one run for each choice; and
Optuna studies. Killed and started again, it goes on from the last round or trial that had ended.
A choice that the file has already, by the same code and settings, is not made again, unless `tune.fresh=true`.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Find how far another choice of settings moves the horizon of one pair."""
    from pipeline.runs.retune import retune

    retune(settings)


if __name__ == "__main__":
    main()
