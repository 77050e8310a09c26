"""What a tuning and a re-tuning share: the space of a pair, the horizon of some settings, and one choice of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import Any

from filelock import FileLock, Timeout
from optuna import Study
from optuna.samplers import BaseSampler

from pipeline.base.errors import UserError, require
from pipeline.base.terminal import Display
from pipeline.cells import initialization
from pipeline.data.held_out import HeldOut
from pipeline.horizon.estimate import Searched
from pipeline.learning.recorder import Watch
from pipeline.records.wording import phrase
from pipeline.runs.race import Trainer, check_space, optimizer
from pipeline.runs.studies import search_study, trial_of
from pipeline.settings import Settings, build
from pipeline.study import driver
from pipeline.tuning.rounds import Chosen, OnRound, Question, Tuning
from pipeline.tuning.space import Choices, Space, Values, space_of


def parse_space(settings: Settings) -> tuple[Space, Values]:
    """Return the space of the cell and its plain settings; raise `UserError` where one of its values can't be used."""
    options, cell = settings.tune, settings.names["cell"]
    own = options.cells.get(cell)
    require(own is None or isinstance(own, Mapping), f"tune.cells.{cell}", "is a group of settings", own)
    require_inits(settings)
    space = space_of(options.space, own, settings.cell.inits)
    tree = {**settings.tree, "optimizer": settings.tree["optimizer"] | {"name": settings.names["optimizer"]}}
    plain: Values = {}
    for name in {"optimizer.name": None, "training.clip": None, **space}:
        section, _, key = name.partition(".")
        if key not in tree[section]:
            raise UserError(f"tune.space: {name} is not a setting of {settings.names.get(section, section)}")
        plain[name] = tree[section][key]
    check_space(settings, plain, list(corners(space, plain)))
    new_sampler(settings, 0)
    return space, plain


def require_inits(settings: Settings) -> None:
    """Raise `UserError` for initial weights in the space of all cells that none has; each cell tries those it has."""
    known = (*initialization.KINDS, *settings.cell.inits)
    common = settings.tune.space.get("cell", {}).get("init", [])
    for name in common if isinstance(common, list) else []:
        require(name in known, "tune.space.cell.init", f"must be one of {', '.join(dict.fromkeys(known))}", name)


def corners(space: Space, plain: Values) -> Sequence[Values]:
    """Return the plain settings with one of them at each of its choices, or at an end of its range."""
    values = {name: span.values if isinstance(span, Choices) else (span.low, span.high) for name, span in space.items()}
    return [plain | {name: value} for name, ends in values.items() for value in ends]


def new_sampler(settings: Settings, generation: int) -> BaseSampler:
    """Return a fresh sampler for one generation: it draws the same again after a kill."""
    seed = settings.tune.seed * settings.tune.generations + generation
    made: BaseSampler = build(settings.tune.sampler, "tune.sampler", seed=seed)
    return made


@contextmanager
def lock_pair(settings: Settings) -> Iterator[None]:
    """Hold the lock of a pair, which a killed process does not; raise `UserError` where another process tunes it."""
    folder = settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"tune-{settings.pair}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"another process is tuning {settings.pair} in {settings.state}; wait until it has ended"
        ) from error
    try:
        yield
    finally:
        lock.release()


def find_horizon(settings: Settings, held_out: HeldOut, display: Display, words: str) -> Searched:
    """Return the horizon of some settings, and what it took; from its study if it is there."""
    settings = replace(settings, search=replace(settings.search, fresh=False))
    study = search_study(settings)

    def watch(update: int, curve: Mapping[str, float]) -> None:
        display.progress(0.0, f"horizon of the {words}, {len(study.trials)} trials")

    with settings.part("executor") as executor:
        trial = trial_of(settings, held_out, watch, executor.remote)
        found = driver.search(study, trial, settings.search, executor, 1)
    display.print(f"{words}: {phrase(found.t50)}, {found.trials} trials")
    return Searched(**vars(found.t50), study=study.study_name, trials=found.trials, compute=found.compute)


def question_of(settings: Settings, base: Searched) -> Question:
    """Return what is tuned; `base` is the horizon with the plain settings, and beyond the range counts as its end."""
    space, plain = parse_space(settings)
    shortest, longest = settings.search.length_min, settings.search.length_max
    horizon = float(base.best_known or shortest)
    upper = inf if base.upper is None else base.upper
    budget, replicas = settings.training.updates, settings.search.replicas
    costs = {"search_cost": float(base.compute), "search_limit": settings.search.limit}
    return Question(
        plain, space, shortest, longest, budget, replicas, search_horizon=horizon, search_upper=upper, **costs
    )


def choose(
    settings: Settings,
    study: Study,
    question: Question,
    watch: Watch,
    on_round: OnRound = lambda generation, climbs, reached: None,
) -> Chosen:
    """Make a choice of settings, resumed from its study."""
    trainer = Trainer(settings, watch)
    return Tuning(study, question, settings.tune, trainer, lambda each: new_sampler(settings, each), on_round).run()


def sections_of(settings: Settings, chosen: Values) -> dict[str, dict[str, Any]]:
    """Return chosen settings as sections of the configuration; the optimizer complete, with what was not varied."""
    sections: dict[str, dict[str, Any]] = {"optimizer": optimizer(settings, chosen)}
    for name, value in chosen.items():
        section, _, key = name.partition(".")
        if section != "optimizer":
            sections.setdefault(section, {})[key] = value
    return sections
