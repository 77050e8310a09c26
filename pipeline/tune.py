"""Find the settings that one cell needs on one task: learning rate, clip, initial weights and optimizer.

    python -m pipeline.tune task=temporal_order cell=rnn
    python -m pipeline.tune task=adding cell=lstm tune.searches=1 tune.seed=3

writes conf/tuned/TASK-CELL.yaml, which search and train then use, and results/tune/TASK-CELL/: tune.json, trials.csv
and a figure; a parent run with one run for each settings that were tried in MLflow; and an Optuna study. First it finds
the horizon of the plain settings, unless a search has done so. Killed and started again, it goes on after the last
round that had ended.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Find settings for one pair."""
    from pipeline.base.files import require_writable
    from pipeline.settings.destination import what_if
    from pipeline.settings.tuned import file_of

    if not what_if(settings, "tune", "tuned"):
        require_writable(file_of(settings).parent)
    from pipeline.runs.tune import tune

    tune(settings)


if __name__ == "__main__":
    main()
