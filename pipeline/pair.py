"""Gather what the stages found of one cell on one task, with its figures, for the report.

    python -m pipeline.pair task=copy cell=lstm

reads results/search/TASK-CELL/, results/train/TASK-CELL/ and, where it is there, results/retune/TASK-CELL/, checks that
they belong together, and writes results/pairs/TASK-CELL/: pair.json and the figures of the search and the training.
"""

from pipeline.settings import Settings, stage_with


@stage_with()
def main(settings: Settings) -> None:
    """Gather the results of one pair."""
    from pipeline.reports.pairs import write_pair

    write_pair(settings)


if __name__ == "__main__":
    main()
