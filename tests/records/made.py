"""Records as tests need them, with what does not matter filled in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.explanation.arms import ARMS, PLAIN
from pipeline.horizon.estimate import Censored, Estimate, Searched
from pipeline.records.explanation import Course, ExplanationRecord, GradientMap, Training, explained
from pipeline.records.horizon import HorizonRecord, read_horizon
from pipeline.study.record import Profile, TrialRecord
from pipeline.tuning.record import Choice, Provenance, RateCurve, RunnerUp, Tuned
from tests.conftest import compose
from tests.explanation.made import ARRIVES

RESULTS = Path(__file__).parents[2] / "results"

CURVE = RateCurve(20, 4, (0.001, 0.01), (0, 4))


def estimate(
    median: float | None, lower: float | None, upper: float | None, censored: Censored | None = None
) -> Estimate:
    return Estimate(median, lower, upper, censored, 0.25)


def searched(found: Estimate, study: str = "a-4") -> Searched:
    return Searched(**vars(found), study=study, trials=8, compute=100)


def tuned(plain: Estimate, study: str = "tune-a-1", cost: int = 300) -> Tuned:
    return Tuned(0.01, "torch.optim.Adam", searched(plain), CURVE, cost, 2.0, study)


def choice(found: Estimate, seed: int = 1, chosen: dict[str, Any] | None = None) -> Choice:
    return Choice(seed, f"tune-a-{seed}", chosen or {"cell.init": "torch"}, 300, 3.0, 1.5, searched(found))


def provenance(median: float = 20.0, study: str = "tune-a-1") -> Provenance:
    plain, second = searched(Estimate(median, median / 1.2, median * 1.2)), RunnerUp(4.5, True, ("optimizer.lr=0.01",))
    return Provenance(study, 0, 16, 2, 300, 3.0, 100, True, 5.0, second, {"optimizer.lr": 1.0}, plain, CURVE)


def trial(ordinal: int, length: int, solved: int, replicas: int = 4, **other: Any) -> TrialRecord:
    updates = tuple(100 if place < solved else None for place in range(replicas))
    none: tuple[None, ...] = (None,) * replicas
    made = TrialRecord(
        ordinal=ordinal,
        aim="t50",
        length=length,
        replicas=replicas,
        solved=solved,
        budget=1000,
        cost=float(length),
        updates=updates,
        diverged=(False,) * replicas,
        best_score=none,
        seeds=tuple(range(replicas)),
        updates_to_loose_goal=updates,
        figures={"gradient/decay": 0.9, "gradient/first_over_last": -1.5},
        signature=None,
    )
    return replace(made, **other)


def profile(update: int, norm: float) -> Profile:
    return Profile(update, (1, 2), (norm, norm), (norm, norm), (norm, norm))


def with_made_up_profiles(each: TrialRecord) -> TrialRecord:
    """Norms are minus the ordinal."""
    return replace(each, profiles=(profile(1, -float(each.ordinal)), profile(100, -float(each.ordinal))))


def committed(pair: str) -> HorizonRecord:
    return read_horizon(RESULTS / "search" / pair / "horizon.json")


def explanation(horizon: HorizonRecord, rescued: Sequence[str] = ("budget",), failing: int = 4) -> ExplanationRecord:
    """Of one seed that solves and some that fail, which some arms rescue; all gradients arrive."""
    seeds = tuple(range(100, 100 + failing))
    plain = Training(PLAIN, (99, *seeds), (40, *(None,) * failing), 500, (ARRIVES,) * (failing + 1))
    arms = [Training(arm, seeds, ((80 if arm in rescued else None),) * failing, 400) for arm in ARMS]
    course = Course(70, "the rule named a cause", (plain, *arms), {}, 10**6)
    names, options = {"task": horizon.task, "cell": horizon.cell}, compose().explain
    return explained(names, horizon, None, course, options)


def gradient_maps(found: ExplanationRecord) -> list[GradientMap]:
    """Norms that fall by a decade a step, less so in later updates."""

    def rows(seed: int) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(-0.03 * seed * step / update for step in (3, 2, 1, 0)) for update in (1, 2, 3))

    return [GradientMap(seed.seed, (1, 2, 3), (1, 2, 3, 4), {"h": rows(seed.seed)}) for seed in found.seeds]
