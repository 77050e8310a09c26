"""Gather the horizons of the grid into one table, one page and its figures.

    python -m pipeline.report

reads results/pairs/ by the names in conf/grid.yaml, which `pipeline.pair` writes, and nothing else, and writes
results/report/: horizons.json, horizons.md, index.html (one file that works offline), overview.svg and figures/. Other
files there are left alone.

The page names no MLflow run by its id, for ids are drawn by chance and a page must have the same bytes each time. It
names the digest of what a run wrote, which is a tag of that run; `make ui` makes a copy in which the ids are filled in.
"""

from pipeline.settings import Settings, stage_with


@stage_with()
def main(settings: Settings) -> None:
    """Write the report."""
    from pipeline.reports.page import write_report

    write_report(settings)


if __name__ == "__main__":
    main()
