"""Find the horizon of one cell on one task: the length at which half of the replicas still solve it within the budget.

    python -m pipeline.search task=temporal_order cell=rnn
    python -m pipeline.search task=adding cell=lstm search.length_max=512 search.factor=1.5
    python -m pipeline.search task=adding cell=lstm executor=dask executor.address=tcp://host:8786

writes results/search/TASK-CELL/: horizon.json, metrics.json, settings.json, trials.csv, gradients.parquet, figures;
a parent run with one run for each trial in MLflow; and an Optuna study. With other settings than those of conf/ it
writes a folder below results/try/; publish=true replaces the published results. Killed and started again, it resumes
after the last finished trial.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Find one horizon."""
    from pipeline.runs.search import search

    search(settings)


if __name__ == "__main__":
    main()
