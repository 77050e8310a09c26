"""Hold published results against the same experiments here, and horizons against the gradient that should predict them.

    python -m pipeline.papers

reads results/experiment/ by the names in conf/papers.yaml, which `make papers` measures, and writes
results/report/published/: index.html (one file that works offline), published.json, published.md and predicted.svg.
"""

from pipeline.settings import Settings, stage_with


@stage_with()
def main(settings: Settings) -> None:
    """Write the table of published results and the figure of the knobs."""
    from pipeline.reports.papers import write_papers

    write_papers(settings)


if __name__ == "__main__":
    main()
