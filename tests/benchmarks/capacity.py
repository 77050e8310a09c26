"""What the published grid costs: 64 simulated searches, with the times that trials take here, on any number of workers.

`python -m tests.benchmarks.capacity` prints it; `load` writes it with the rest. The grid is 8 cells on 8 tasks, lengths
up to 8 192, factor 1.2, T90 included. Only three of the cells exist: the eight are taken to cost what these do, in
turn, and their horizons are drawn log-uniformly from 8 to `HORIZON`. Budget: 1 000 updates, 4 replicas of 32 units.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from heapq import heappop, heappush
from math import log2
from typing import Any

import numpy as np

from pipeline.horizon.acquisition import next_question
from pipeline.horizon.findings import Findings
from pipeline.horizon.observation import Observation
from pipeline.horizon.stopping import reason_to_stop
from pipeline.runs.prepared import held_out_of
from pipeline.runs.trial import Trial
from tests.benchmarks.search_simulation import OPTIONS, current
from tests.benchmarks.search_truth import Truth, standard
from tests.conftest import compose

CELLS = ("rnn", "gru", "lstm")
LENGTHS = (64, 512, 4096)  # at which an update is timed
UPDATES = (20, 70)  # of two trainings, whose difference has the cost of starting in neither, and one look in 50
PAIRS = 64
HORIZON = 8192  # the longest that a cell may have
CHOICES = replace(OPTIONS, length_min=8, length_max=8192, factor=1.2, t90=True)
WORKERS = (1, 10, 100, 1000)  # of a sweep, which gives a search one trial at a time
SEED = 5

Rates = Mapping[str, Mapping[int, float]]  # by cell and length: processor seconds of an update of four replicas


def rates() -> dict[str, dict[int, float]]:
    """Time of one update on one thread, with its part of all looks and records."""
    return {cell: {length: update_seconds(cell, length) for length in LENGTHS} for cell in CELLS}


def update_seconds(cell: str, length: int) -> float:
    """Processor time of an update, where nobody solves the task."""
    few, many = (training_seconds(cell, length, updates) for updates in UPDATES)
    return (many - few) / (UPDATES[1] - UPDATES[0])


def training_seconds(cell: str, length: int, updates: int) -> float:
    """Processor time of a trial."""
    fixed = ["task=adding", f"cell={cell}", f"training.updates={updates}", "training.threads=1", "task.goal=1e-9"]
    settings = compose(*fixed, "task.loose_goal=1e-8", "paths.data=nowhere")
    trial = Trial(settings, held_out_of(settings))
    before = time.process_time()
    trial(length, 0)
    return time.process_time() - before


def seconds(rate: Mapping[int, float], trial: Observation) -> float:
    """Time of a trial: its replicas end one by one, and an update takes as long as replicas are left."""
    known = sorted(rate)
    update = np.exp(np.interp(np.log(trial.length), np.log(known), np.log([rate[each] for each in known])))
    beyond = max(trial.length / known[-1], 1.0)  # the time of long sequences grows with their length
    return float(update * beyond * trial.cost / trial.length / trial.replicas)


Course = list[tuple[float, float]]  # of a search: replica x updates x length of each trial, and its seconds


def course(cell: Truth, rate: Mapping[int, float], draw: np.random.Generator) -> Course:
    """Search a made-up cell, one trial at a time."""
    found, reason = current([], CHOICES), None
    seen, trials = list[Observation](), list[tuple[float, float]]()
    while not reason:
        length, aim, replicas = next_question(Findings(seen, CHOICES, found))
        seen.append(replace(cell.trial(length, replicas, draw), aim=aim))
        trials.append((seen[-1].cost, seconds(rate, seen[-1])))
        found = current(seen, CHOICES)
        reason = reason_to_stop(Findings(seen, CHOICES, found))
    return trials


def grid(known: Rates) -> list[Course]:
    """All searches: horizons log-uniform, curves of all slopes."""
    draw = np.random.default_rng(SEED)
    cells = [standard(draw, theta=draw.uniform(3, log2(HORIZON))) for _ in range(PAIRS)]
    rows = [known[CELLS[number % len(CELLS)]] for number in range(PAIRS)]
    draws = [np.random.default_rng([SEED, number]) for number in range(PAIRS)]
    return [course(cell, row, each) for cell, row, each in zip(cells, rows, draws, strict=True)]


def swept(courses: list[Course], workers: int) -> float:
    """Seconds that a sweep takes: one trial of a search at once, the next of the one that cost least so far."""
    waiting = [(0.0, number, 0) for number in range(len(courses))]  # cost so far, search, its next trial
    running: list[tuple[float, float, int, int]] = []
    now = 0.0
    while waiting or running:
        while waiting and len(running) < workers:
            cost, number, place = heappop(waiting)
            more, takes = courses[number][place]
            heappush(running, (now + takes, cost + more, number, place + 1))
        now, cost, number, place = heappop(running)
        if place < len(courses[number]):
            heappush(waiting, (cost, number, place))
    return now


def measured() -> dict[str, Any]:
    """Rates, and the grid on several numbers of workers."""
    training_seconds("rnn", LENGTHS[0], UPDATES[0])  # the first one pays for imports and memory
    known = rates()
    milliseconds = {cell: {str(length): 1e3 * each for length, each in row.items()} for cell, row in known.items()}
    courses = grid(known)
    return {"milliseconds an update": milliseconds, "grid": [row(courses, workers) for workers in WORKERS]}


def row(courses: list[Course], workers: int) -> dict[str, float]:
    """A line of the table."""
    work, takes = sum(each for course in courses for _, each in course) / 3600, swept(courses, workers) / 3600
    trials = sum(map(len, courses))
    return {"workers": workers, "trials": trials, "core-hours": work, "hours": takes, "busy": work / takes / workers}


if __name__ == "__main__":
    print(json.dumps(measured(), allow_nan=False, indent=1))
