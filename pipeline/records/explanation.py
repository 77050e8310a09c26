"""explanation.json: why the seeds of a pair fail beyond its horizon, with the figures that the verdict rests on."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from numpy import ndarray
from pyarrow import parquet

from pipeline.base.errors import UserError, first_line
from pipeline.explanation.arms import PLAIN, SHORTER, words
from pipeline.explanation.evidence import Evidence
from pipeline.explanation.options import ExplainOptions
from pipeline.explanation.rescue import Share
from pipeline.explanation.rule import MIXED, UNKNOWN, Case, counts, seed_verdict, verdict
from pipeline.explanation.vanishing import Summary, summary
from pipeline.records.horizon import HorizonRecord
from pipeline.records.reading import MAKER, read_json

LEVEL = 0.9  # of the intervals of shares


@dataclass(frozen=True)
class GradientMap:
    """log2 ‖∂L/∂s_t‖ of one seed, for each part s of the state: a row for each recorded update, a column a step."""

    seed: int
    updates: tuple[int, ...]
    steps: tuple[int, ...]
    norms: Mapping[str, tuple[tuple[float, ...], ...]]


@dataclass(frozen=True)
class Training:
    """One training of some seeds side by side: what is kept of it while an explanation is under way."""

    arm: str
    seeds: tuple[int, ...]
    updates: tuple[int | None, ...]  # update at which each was solved, None where it was not
    cost: int  # replica x updates x length that was run
    evidence: tuple[Evidence, ...] = ()  # of the plain training
    maps: tuple[GradientMap, ...] = ()
    diverged: tuple[bool, ...] = ()  # whether a loss or gradient that was not finite ended it, of each

    def __post_init__(self) -> None:
        """Raise ValueError where there is not one value a seed."""
        if len(self.updates) != len(self.seeds) or len(self.evidence) not in (0, len(self.seeds)):
            raise ValueError("a training has one value a seed")

    @property
    def lost(self) -> list[int]:
        """The seeds that diverged."""
        return [seed for seed, diverged in zip(self.seeds, self.diverged, strict=False) if diverged]


@dataclass(frozen=True)
class ArmRecord:
    """One intervention: which share of the failing seeds it rescued."""

    name: str
    words: str
    share: Share
    interval: tuple[float, float]
    exceeds: float | None  # probability that its share is larger than its baseline's; None for a baseline of none


@dataclass(frozen=True)
class SeedRecord:
    """One seed of the plain training."""

    seed: int
    updates: int | None  # at which it solved
    verdict: str | None  # of a failing seed that was retrained
    arms: Mapping[str, int | None]  # update at which each retraining solved
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class ExplanationRecord:
    """Why the seeds of one pair fail."""

    task: str
    cell: str
    cannot_represent: str | None  # why the cell can't represent the task; None where no reason is known
    horizon: float | None  # T50 of the search, or the limit beyond which it lies
    length: int | None  # at which it is explained
    budget: int
    verdict: str | None  # None: no length at which seeds fail is known
    reason: str  # why there is none, or why it ended as it did
    counts: Mapping[str, int]  # failing seeds by their own verdict
    solved: int  # of the plain training
    arms: tuple[ArmRecord, ...]
    without: Mapping[str, str]  # interventions that were left out, with the reason
    failing: Summary
    solving: Summary
    elasticity: float | None  # d log T50 / d log budget, of the search
    cost: int  # replica x updates x length
    cap: int
    level: float
    seeds: tuple[SeedRecord, ...]

    @property
    def pair(self) -> str:
        """TASK-CELL."""
        return f"{self.task}-{self.cell}"

    @property
    def failed(self) -> list[SeedRecord]:
        """The seeds that failed in the plain training."""
        return [seed for seed in self.seeds if seed.updates is None]


def plain_of(trainings: Sequence[Training]) -> dict[int, tuple[int | None, Evidence]]:
    """Return the update at which each seed solved in the plain training, with its evidence."""
    found = [each for each in trainings if each.arm == PLAIN]
    return {
        seed: (update, evidence)
        for each in found
        for seed, update, evidence in zip(each.seeds, each.updates, each.evidence, strict=True)
    }


def retrained(trainings: Sequence[Training]) -> dict[str, dict[int, int | None]]:
    """Return, for each arm, the update at which each seed that it retrained solved."""
    found: dict[str, dict[int, int | None]] = {}
    for each in trainings:
        if each.arm != PLAIN:
            found.setdefault(each.arm, {}).update(zip(each.seeds, each.updates, strict=True))
    return found


def spared(trainings: Sequence[Training], arm: str, seeds: Sequence[int]) -> list[Training]:
    """Return the outcome, at no cost, of seeds whose training with a larger budget is known: it begins as theirs did.

    One that diverged diverges again at the same update, however many more there might be.
    """
    ended = {seed for each in trainings if each.arm == SHORTER.get(arm) for seed in each.lost}
    done = retrained(trainings).get(arm, {})
    known = tuple(seed for seed in seeds if seed in ended and seed not in done)
    return [Training(arm, known, (None,) * len(known), 0, diverged=(True,) * len(known))] if known else []


def shares(trainings: Sequence[Training]) -> dict[str, Share]:
    """Return the share of the failing seeds that each arm rescued."""
    every = retrained(trainings)
    return {arm: Share(sum(update is not None for update in of.values()), len(of)) for arm, of in every.items()}


def case_of(trainings: Sequence[Training], bounded: bool) -> Case:
    """Return what the rule reads."""
    plain = plain_of(trainings)
    failing = [evidence for update, evidence in plain.values() if update is None]
    own = tuple(seed.verdict for seed in seed_records(trainings, bounded) if seed.verdict)
    return Case(shares(trainings), failing, len(plain) - len(failing), bounded, own)


def seed_records(trainings: Sequence[Training], bounded: bool) -> tuple[SeedRecord, ...]:
    """Return what was found of each seed of the plain training."""
    arms = retrained(trainings)
    found = []
    for seed, (update, evidence) in plain_of(trainings).items():
        own = {arm: of[seed] for arm, of in arms.items() if seed in of}
        rescued = {arm: solved is not None for arm, solved in own.items()}
        told = seed_verdict(rescued, evidence, bounded) if update is None and own else None
        found.append(SeedRecord(seed, update, told, own, evidence))
    return tuple(found)


def arm_records(case: Case, options: ExplainOptions) -> tuple[ArmRecord, ...]:
    """Return the interventions with their intervals."""
    return tuple(
        ArmRecord(arm, words(arm, options.budget), share, share.interval(LEVEL), case.exceeds(arm))
        for arm, share in case.arms.items()
    )


@dataclass(frozen=True)
class Course:
    """What was done to explain a pair, and why it ended."""

    length: int | None
    reason: str
    trainings: tuple[Training, ...]
    without: Mapping[str, str]
    cap: int


def explained(
    names: Mapping[str, str], horizon: HorizonRecord, cannot: str | None, course: Course, options: ExplainOptions
) -> ExplanationRecord:
    """Return the content of explanation.json; `cannot` is why the cell can't represent the task, if that is known."""
    bounded = cannot is not None
    case, seeds = case_of(course.trainings, bounded), seed_records(course.trainings, bounded)
    return ExplanationRecord(
        task=names["task"],
        cell=names["cell"],
        cannot_represent=cannot,
        horizon=horizon.t50.best_known,
        length=course.length,
        budget=horizon.budget,
        verdict=(told := None if course.length is None else verdict(case)),
        reason=course.reason if told not in (MIXED, UNKNOWN) else f"{course.reason}; {gradients_of(case)}",
        counts=counts(case.own),
        solved=case.solved,
        arms=arm_records(case, options),
        without=dict(course.without),
        failing=summary(case.evidence),
        solving=summary([seed.evidence for seed in seeds if seed.updates is not None]),
        elasticity=last_elasticity(horizon),
        cost=sum(each.cost for each in course.trainings),
        cap=course.cap,
        level=LEVEL,
        seeds=seeds,
    )


def gradients_of(case: Case) -> str:
    """Return what the gradients of the failing seeds show, for a pair of which no single cause is named."""
    seen = summary(case.evidence)
    return f"the gradient explodes in {seen.exploding} and vanishes in {seen.vanishing} of {seen.seeds} failing seeds"


def last_elasticity(horizon: HorizonRecord) -> float | None:
    """Return the elasticity at the search's budget; None where it has none."""
    every = getattr(horizon, "elasticity", ())
    return every[-1].median if every else None


def write_seeds(path: Path, found: ExplanationRecord) -> None:
    """Write seeds.csv: a row for each seed of the plain training, with what the rule reads of it."""
    arms = [arm.name for arm in found.arms]
    head = ["seed", "updates", "verdict", *arms, "signal_to_noise", "vanished", "grown", "clipped", "exploded"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for each in found.seeds:
            own = [_updates(each.arms, arm) for arm in arms]
            shown = [getattr(each.evidence, name) for name in head[3 + len(arms) :]]
            writer.writerow([each.seed, each.updates, each.verdict, *own, *shown])


def _updates(arms: Mapping[str, int | None], arm: str) -> int | str | None:
    """Return the update at which a retraining solved, `failed` where it did not; None where there was none."""
    return (arms[arm] or "failed") if arm in arms else None


def write_maps(path: Path, maps: Sequence[GradientMap]) -> None:
    """Write maps.parquet: log2 of each norm, one row for each (seed, update, step)."""
    parts = list(maps[0].norms) if maps else ["h"]
    columns: dict[str, list[float]] = {name: [] for name in ("seed", "update", "step", *parts)}
    for each in maps:
        count = len(each.updates) * len(each.steps)
        columns["seed"] += [each.seed] * count
        columns["update"] += [update for update in each.updates for _ in each.steps]
        columns["step"] += list(each.steps) * len(each.updates)
        for part in parts:
            columns[part] += [value for row in each.norms[part] for value in row]
    kinds = {name: pyarrow.int32() for name in ("seed", "update", "step")}
    table = {name: pyarrow.array(values, kinds.get(name, pyarrow.float32())) for name, values in columns.items()}
    parquet.write_table(pyarrow.table(table), path, compression="zstd")


def read_maps(path: Path, maker: str = MAKER) -> tuple[GradientMap, ...]:
    """Return the maps; raises `UserError` where the file is missing or is something else."""
    try:
        table = parquet.read_table(path)
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        seeds = columns.pop("seed")
        return tuple(
            _map(int(seed), {name: of[seeds == seed] for name, of in columns.items()}) for seed in _order(seeds)
        )
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {maker} makes it") from error
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        why = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path} can't be read as gradients of seeds ({why}); {maker} makes it anew") from error


def _order(seeds: ndarray) -> list[int]:
    return list(dict.fromkeys(seeds.tolist()))


def _map(seed: int, columns: Mapping[str, ndarray]) -> GradientMap:
    updates, steps = _order(columns["update"]), _order(columns["step"])
    norms = {
        part: tuple(map(tuple, values.reshape(len(updates), len(steps)).tolist()))
        for part, values in columns.items()
        if part not in ("update", "step")
    }
    return GradientMap(seed, tuple(updates), tuple(steps), norms)


def read_explanation(path: Path, maker: str = MAKER) -> ExplanationRecord:
    """Return the content of explanation.json; raises `UserError` where it is missing or is something else."""
    return read_json(path, ExplanationRecord, maker)
