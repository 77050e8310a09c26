"""Train replicas of one cell on one task at one length, and record the gradient on its way back through time.

    python -m pipeline.train task=temporal_order cell=rnn training.length=20 training.updates=200 training.replicas=4
    python -m pipeline.train -m cell=rnn,gru,lstm training.length=20,40,80

writes results/train/TASK-CELL/: outcome.json, gradients.parquet, figures, weights; and an MLflow run. With other
settings than those of conf/ it writes a folder below results/try/, and each job of a multirun one below
results/multirun/; publish=true replaces the published results.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Train one cell on one task at one length."""
    from pipeline.runs.train import train

    train(settings)


if __name__ == "__main__":
    main()
