"""A small piece of every stage's work, to see whether settings that were accepted can be used."""

import re
from collections.abc import Sequence
from pathlib import Path

import optuna
import torch
from optuna.storages import InMemoryStorage

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.base.trees import as_json
from pipeline.executors.inline import Inline
from pipeline.learning.replicas import train_replicas
from pipeline.records.horizon import horizon_record, read_horizon
from pipeline.records.outcome import read_outcome
from pipeline.runs import train, weights
from pipeline.runs.choosing import new_sampler, parse_space
from pipeline.runs.prepared import held_out_of, lengths
from pipeline.runs.search import headline
from pipeline.runs.trial import Trial
from pipeline.settings import Settings
from pipeline.study import driver
from pipeline.study.opening import open_study
from pipeline.study.results import read_study
from pipeline.tuning.proposing import propose

MUCH = 3_000_000  # multiplications, roughly, that a test may ask for


def dear(settings: Settings) -> bool:
    """Whether the settings are merely big: they can be used, and it takes more than a test's time."""
    training, search, hidden = settings.training, settings.search, settings.cell.hidden
    longest = max([training.length, search.length_max, *training.test_lengths])
    replicas = max(training.replicas, search.replicas) * search.trials
    size = settings.task.steps(longest) * (hidden + settings.task.channels)
    return size * (training.updates * replicas * training.batch + settings.data.held_out) > MUCH or hidden > 200


def use(settings: Settings, folder: Path, words: Sequence[str]) -> None:
    """Train and write what a training writes, its figures apart; then search and tune where a word is about that.

    Raises what they raise.
    """
    line = " ".join(words)
    try:
        use_training(settings, folder)
        if re.search("search|sampler|task|data", line):
            use_search(settings, folder)
        if re.search("tune|optimizer|cell", line):
            use_tuning(settings)
    finally:
        torch.set_flush_denormal(False)  # a training sets it, and hypothesis draws numbers that it would take for 0


def use_training(settings: Settings, folder: Path) -> None:
    """What `train` does."""
    task, cell, training, held_out = settings.task, settings.cell, settings.training, held_out_of(settings)
    sequences = held_out.sequences(training.length)
    seeds = range(training.replicas)
    done = train_replicas(task, cell, settings.optimizer, training, training.length, seeds, sequences)
    tests = train.tested(settings, held_out, done)
    write_json(folder / "outcome.json", as_json(train.outcome(settings, done, tests)))
    write_json(folder / "settings.json", settings.recorded)
    weights.save(folder, settings, done)
    assert weights.load(folder).replicas == training.replicas
    assert read_outcome(folder / "outcome.json").length == training.length


def use_search(settings: Settings, folder: Path) -> None:
    """What `search` does, and of `prepare` the lengths."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = settings.search
    study = open_study(InMemoryStorage(), "study", settings.part("sampler", options=options))
    found = driver.search(study, Trial(settings, held_out_of(settings)), options, Inline())
    seen = read_study(study)
    assert found.trials == len(seen) >= 1
    assert {each.length for each in seen} <= {*range(options.length_min, options.length_max + 1)}
    assert lengths(settings)[-1] <= options.length_max
    record = horizon_record(settings.names, settings.task, found, seen, options)
    write_json(folder / "horizon.json", as_json(record))
    assert read_horizon(folder / "horizon.json") == record
    write_json(folder / "metrics.json", headline(record))


def use_tuning(settings: Settings) -> None:
    """What `tune` asks Optuna for, after it has looked at the space."""
    space, _ = parse_space(settings)
    assert len(propose(space, new_sampler(settings, 0), [], 2)) == 2


def refused_by_a_stage(settings: Settings) -> str | None:
    """What is refused by the one stage that uses it: the sampler by search, the space by tune."""
    try:
        settings.part("sampler", options=settings.search)
        parse_space(settings)
    except UserError as error:
        return str(error)
    return None
