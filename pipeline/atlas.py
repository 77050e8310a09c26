"""Place every cell on every task: the horizon of each pair at published settings and one learning rate of its own.

    python -m pipeline.atlas
    python -m pipeline.atlas 'atlas.tasks=[adding]' 'atlas.cells=[lru,s6]' 'atlas.widths=[matched]' executor=processes
    python -m pipeline.atlas cell=mine

Every pair climbs the lengths with each of atlas.rates, at the same cost for each cell, and keeps the rate that came
farthest. Then it is searched as `pipeline.search` does it, one trial at a time, `executor.workers` trials of several
pairs at once. What is expected to cost least comes first, and the time left is a range.

Writes results/atlas/WIDTH/TASK-CELL/: rate.json, pair.json and, in search/, what a search writes; and from all that is
there results/atlas/: horizons.md and horizons.json as it goes, index.html every few minutes and at the end. Killed and
started again, it goes on from the last finished trial. Several processes share the work: a pair that another one has in
hand is left to it.

`cell=NAME` places one cell among all that are there already: it writes to results/try/atlas/, as other settings do,
draws a picture and says where the cell stands on each task. `publish=true` adds it to results/atlas.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Place cells on tasks."""
    from pipeline.reports.atlas import write_atlas
    from pipeline.reports.atlas_own import place_cell
    from pipeline.runs.atlas import atlas
    from pipeline.runs.atlas_plan import home_of

    home, tasks = settings.results / home_of(settings), settings.atlas.tasks

    def show() -> None:
        write_atlas(home, settings.results, tasks, settings.atlas.rates)

    atlas(settings, show)
    for line in place_cell(home, settings.results, tasks, settings.names["cell"]) if "cell" in settings.fixed else ():
        print(line)


if __name__ == "__main__":
    main()
