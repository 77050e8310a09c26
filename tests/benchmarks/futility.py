"""Would stopping hopeless replicas early pay, and how often would it be wrong? On real training curves of the grid.

    python -m tests.benchmarks.futility

trains 16 replicas of every default pair without early stopping, at its horizon and .4 octave to both sides, keeps their
held-out scores, and tries each rule of a small family on them: which replicas it would have flagged, how many of those
solved after all, and which share of the compute it would have saved. A rule is good enough where the upper bound of
its rate of false alarms (95 %) is at most 5 %.
"""

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from pipeline.runs.prepared import held_out_of
from pipeline.runs.trial import Trial
from pipeline.settings import CONF, ROOT
from pipeline.study.trials import seeds_of
from pipeline.tasks.task import Task
from tests.benchmarks.futility_rule import Audit, NoProgress, Progress
from tests.conftest import compose

RESULT = Path("results/benchmarks/futility.json")
SIDES = (2**-0.4, 1.0, 2**0.4)  # of the horizon
TRIALS = 4  # of 4 replicas, at each length
FIRST = 50_000  # ordinal: replicas that no search uses


@dataclass(frozen=True)
class Curve:
    """One replica that ran to its end."""

    pair: str
    length: int
    updates: list[int]
    scores: list[float]  # 0 at chance, 1 at the goal
    budget: int
    solved: bool


def curves_of(task: str, cell: str) -> list[Curve]:
    """Replicas of one pair around its horizon."""
    horizon = json.loads((ROOT / f"results/search/{task}-{cell}/horizon.json").read_text())
    settings = compose(f"task={task}", f"cell={cell}")
    trial, found = Trial(settings, held_out_of(settings)), []
    for side, number in product(SIDES, range(TRIALS)):
        length = max(round(horizon["t50"]["median"] * side), settings.task.shortest)
        done = trial.train(length, seeds_of(FIRST + number, settings.search.replicas))
        for outcome, scores in zip(done.outcomes, done.curves, strict=True):
            seen = progress(settings.task, done.probed[: len(scores)], scores, settings.training.updates)
            known = (list(seen.updates), list(seen.scores), settings.training.updates, outcome.solved)
            found.append(Curve(f"{task}-{cell}", length, *known))
    return found


def progress(task: Task, updates: list[int], scores: list[float], budget: int) -> Progress:
    """A replica's scores on the scale that a rule reads: 0 at chance, 1 at the goal, in logarithms."""
    return Progress(updates, [task.progress(max(score, task.goal / 10)) for score in scores], budget)


def tried(rule: NoProgress, curves: list[Curve]) -> tuple[Audit, float]:
    """What the rule would have done: its flags with the false ones, and the share of compute that it saves."""
    flagged = false = 0
    spent = saved = 0
    for curve in curves:
        last = curve.updates[-1]
        spent += last * curve.length
        seen = (Progress(curve.updates[:k], curve.scores[:k], curve.budget) for k in range(1, len(curve.updates)))
        stop = next((each.updates[-1] for each in seen if rule.should_stop(each)), None)
        if stop is not None:
            flagged, false, saved = flagged + 1, false + curve.solved, saved + (last - stop) * curve.length
    return Audit(flagged, false), saved / spent


def main() -> None:
    """Print the best rules and write what each would have done."""
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    curves = []
    for task, cell in product(grid["tasks"], grid["cells"]):
        curves += curves_of(task, cell)
        print(
            f"{task}-{cell}: {sum(curve.solved for curve in curves)} of {len(curves)} curves so far solved", flush=True
        )
    family = [
        NoProgress(*numbers) for numbers in product((0.3, 0.4, 0.5, 0.6, 0.7), (0.2, 0.3, 0.4), (0.01, 0.02, 0.05))
    ]
    table = [(rule, *tried(rule, curves)) for rule in family]
    table.sort(key=lambda row: (row[1].upper() > 0.05, -row[2]))
    for rule, audit, saved in table[:12]:
        flagged = f"{audit.false} false of {audit.audited} flagged"
        print(f"{rule}: {flagged}, upper bound {audit.upper():.3f}, saves {saved:.0%}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"rule": vars(rule), **vars(audit), "upper": audit.upper(), "saved": saved} for rule, audit, saved in table]
    RESULT.write_text(json.dumps({"curves": len(curves), "rules": rows}, allow_nan=False, indent=2))


if __name__ == "__main__":
    main()
