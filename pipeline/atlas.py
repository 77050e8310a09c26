"""Place every cell on every task: the horizon of each pair at published settings and one learning rate of its own.

    python -m pipeline.atlas
    python -m pipeline.atlas cell=lem training.threads=1
    python -m pipeline.atlas 'atlas.tasks=[adding]' 'atlas.cells=[lru,s6]' 'atlas.widths=[matched]' executor=processes

First every pair climbs the lengths with each of atlas.rates, at the same cost for each cell, and keeps the rate that
came farthest. Then the pairs are searched as `pipeline.search` does it, those that came less far first, for they cost
least; one trial of a search at a time, `executor.workers` searches at once. `task=…` or `cell=…` asks for these alone.

Writes results/atlas/WIDTH/TASK-CELL/: rate.json, pair.json and, in search/, what a search writes; and from all that is
there results/atlas/horizons.md and horizons.json, after each pair. Killed and started again, it goes on from the last
finished trial. Several processes share the work: a pair that another one has in hand is left to it.
"""

from pipeline.settings import Settings, stage


@stage
def main(settings: Settings) -> None:
    """Place cells on tasks."""
    from pipeline.runs.atlas import atlas

    atlas(settings)


if __name__ == "__main__":
    main()
