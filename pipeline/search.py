"""Find the horizon of one cell on one task: the length at which half of the replicas still solve it within the budget.

    python -m pipeline.search task=temporal_order cell=rnn
    python -m pipeline.search task=adding cell=lstm search.length_max=512 search.factor=1.5
    python -m pipeline.search task=adding cell=lstm executor=dask executor.address=tcp://host:8786

writes results/search/TASK-CELL/: horizon.json, metrics.json, settings.json, trials.csv, gradients.parquet, figures;
a parent run with one run for each trial in MLflow; and an Optuna study. Killed and started again, it goes on from the
last finished trial.
"""

import optuna

from pipeline.base.terminal import display
from pipeline.runs.search import opened
from pipeline.settings import Settings, stage
from pipeline.settings.tuned import tuned
from pipeline.study import driver


@stage
def main(settings: Settings) -> None:
    """Find one horizon."""
    settings = tuned(settings)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with display(settings.title) as shown, opened(settings, shown) as search:
        with settings.part("executor") as executor:
            crew = search.crew(executor, executor.workers)
            driver.run([crew], executor, executor.workers)
        if crew.error:
            raise crew.error
        search.conclude()


if __name__ == "__main__":
    main()
