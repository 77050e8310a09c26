"""How long the whole atlas takes 1, 10, 100 and 1,000 workers, simulated from the trials that were measured.

    python -m tests.benchmarks.atlas_plan

Costs are those of results/atlas: of each choice of a rate and of each trial, in replica x updates x length. Pairs of
conf/atlas.yaml that were not searched get those of a searched pair, drawn with a fixed seed; a pair at a matched width
counts as one of 32 units. A worker makes `SPEED` steps a second. Ways to give workers work:

    one trial       of a search at once: what executor=dask does
    several trials  of a search at once, where workers would be idle: four, at 1.7 times the compute (LOG.md)
    seeds apart     where workers would be idle: each replica of a trial, and each rate of a choice, on one of its own;
                    a replica alone takes `ALONE` of its part of a trial of four

Writes results/benchmarks/atlas_plan.json.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from pipeline.base.files import write_json
from pipeline.records.atlas import RateRecord
from pipeline.records.atlas_places import read_atlas
from pipeline.records.trials import read_trials
from pipeline.runs.atlas_plan import columns, rows
from pipeline.settings import compose
from pipeline.settings.places import ROOT

SPEED = 40_000  # steps a second and core; 32 units: LSTM 38,000 at 128 steps, RNN 114,000, LEM 34,000 (user time)
ALONE = 1.9  # LSTM and RNN, 32 and 128 steps: 1.4 to 2.9 (user time)
REPLICAS = 4
TOGETHER, DEARER = 4, 1.7
WORKERS = (1, 2, 10, 100, 1000)
WAYS = ("one trial", "several trials", "seeds apart")
FIRST = 1800.0  # seconds of the first atlas


@dataclass(frozen=True)
class Stage:
    """Work that begins after the stage before it."""

    seconds: tuple[float, ...]  # of each of its tasks, which run at once
    apart: tuple[float, ...] = ()  # the same as more tasks, if workers are idle


@dataclass
class Work:
    """A pair: its stages, and how far it is."""

    stages: list[Stage]
    spent: float = 0.0
    running: int = 0
    waiting: list[float] = field(default_factory=list)  # tasks of this stage that have not begun


def choice(rate: RateRecord, way: str) -> Stage:
    """The choice of a learning rate; apart, the rate that comes farthest takes longest."""
    whole = rate.cost / SPEED
    shares = 2.0 ** np.array(rate.octaves)
    apart = tuple(map(float, whole * ALONE * shares / shares.sum())) if way == "seeds apart" else ()
    return Stage((whole,), apart)


def trials(costs: Sequence[float], way: str, idle: bool) -> list[Stage]:
    """The trials of a search, one after the other or several at once."""
    seconds = [cost / SPEED for cost in costs]
    if way == "several trials" and idle:
        return [
            Stage(tuple(DEARER * each for each in seconds[at : at + TOGETHER]))
            for at in range(0, len(seconds), TOGETHER)
        ]
    parts = [(each * ALONE / REPLICAS,) * REPLICAS if way == "seeds apart" else () for each in seconds]
    return [Stage((each,), part) for each, part in zip(seconds, parts, strict=True)]


def simulate(pairs: Sequence[tuple[RateRecord, Sequence[float]]], workers: int, way: str) -> dict[str, float]:
    """Return hours, core-hours, the share of the time that workers are busy, and pairs that are done after FIRST."""
    idle = workers > len(pairs)
    works = [Work([choice(rate, way), *trials(costs, way, idle)]) for rate, costs in pairs]
    free, now, busy, ends = workers, 0.0, 0.0, []
    order, running = count(), []
    while any(work.stages or work.running or work.waiting for work in works):
        ready = [work for work in works if work.waiting or (work.stages and not work.running)]
        for work in sorted(ready, key=lambda work: work.spent):
            if not work.waiting and not work.running:
                stage = work.stages.pop(0)
                spare = free >= len(ready) + len(stage.apart)
                work.waiting = list(stage.apart if stage.apart and spare else stage.seconds)
            while work.waiting and free:
                seconds = work.waiting.pop()
                work.running, work.spent, busy, free = work.running + 1, work.spent + seconds, busy + seconds, free - 1
                heapq.heappush(running, (now + seconds, next(order), work))
        now, _, work = heapq.heappop(running)
        work.running, free = work.running - 1, free + 1
        if not (work.stages or work.running or work.waiting):
            ends.append(now)
    return {
        "hours": round(now / 3600, 3),
        "core_hours": round(busy / 3600, 2),
        "busy": round(busy / (now * workers), 3),
        "pairs_after_half_an_hour": sum(int(end <= FIRST) for end in ends),
    }


def main() -> None:
    """Simulate every way with every count of workers."""
    settings, home = compose(), ROOT / "results/atlas"
    searched = [each for each in read_atlas(home, []) if each.rate and each.horizon]
    files = [home / each.width / f"{each.task}-{each.name}" / "search/trials.csv" for each in searched]
    known = [
        (each.rate, [trial.cost for trial in read_trials(file)])
        for each, file in zip(searched, files, strict=True)
        if each.rate
    ]
    wanted = len(columns(settings)) * len(rows(settings)) * len(settings.atlas.widths)
    drawn = np.random.default_rng(0).integers(len(known), size=max(wanted - len(known), 0))
    pairs = [*known, *(known[place] for place in drawn)]
    found = [{"workers": workers, "way": way, **simulate(pairs, workers, way)} for workers in WORKERS for way in WAYS]
    for row in found:
        print(row)
    content = {"pairs": len(pairs), "measured": len(known), "steps_a_second": SPEED, "plans": found}
    write_json(ROOT / "results/benchmarks/atlas_plan.json", content)


if __name__ == "__main__":
    main()
