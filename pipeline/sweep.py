"""Run the searches of the whole grid side by side, on one executor.

    python -m pipeline.sweep executor=dask
    python -m pipeline.sweep executor=processes executor.workers=8 'sweep.tasks=[adding,copy]' search.factor=1.2

Each search has one trial at a time, so it asks for every length with all of its trials known, and its answer is that of
`pipeline.search` alone, file for file. The next trial is of the search that cost least so far. Writes what the
searches write, where they write it; killed and started again it goes on from the last finished trials.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Find every horizon of the grid."""
    from pipeline.runs.sweep import sweep

    sweep(settings)


if __name__ == "__main__":
    main()
