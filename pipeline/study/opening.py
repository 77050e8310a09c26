"""Opening a study: its storage, its name, its sampler."""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from pipeline.base.sqlite import require_store
from pipeline.study import optuna_private
from pipeline.study.storage import Database

LOCKED = 5  # seconds after which the lock that a killed process left on a journal file is broken
JOURNAL = "journal:"
SQLITE = "sqlite:///"


def storage_at(url: str) -> BaseStorage:
    """Return the storage at a URL: `sqlite:///path`, another database, or `journal:path` for Optuna's journal file."""
    if url.startswith(JOURNAL):
        path = url.removeprefix(JOURNAL)
        return JournalStorage(JournalFileBackend(path, JournalFileSymlinkLock(path, grace_period=LOCKED)))
    if url.startswith(SQLITE):
        require_store(Path(url.removeprefix(SQLITE)), "studies")
    return Database(url)


def open_study(storage: str | BaseStorage, name: str, sampler: BaseSampler, fresh: bool = False) -> Study:
    """Return the study of this name, made if there is none.

    `fresh` makes a new one beside the old, under the name with a number: `name-2`, then `name-3`. Without it the
    newest of them is opened.
    """
    place = storage_at(storage) if isinstance(storage, str) else storage
    newest = newest_number(optuna.get_all_study_names(place), name)
    number = newest + 1 if fresh else max(newest, 1)
    full_name = name if number == 1 else f"{name}-{number}"
    study = optuna.create_study(
        storage=place, study_name=full_name, sampler=sampler, direction="maximize", load_if_exists=True
    )
    optuna_private.name_metric(study, "share solved")
    return study


def annotate(study: Study, markdown: str) -> None:
    """Write the note that optuna-dashboard shows with a study."""
    from optuna_dashboard import save_note  # a server comes with it: two seconds that only this needs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_note(study, markdown)


def state(study: Study, answer: Mapping[str, str]) -> None:
    """Set the attributes that optuna-dashboard lists on a study's first page; what is empty is left out."""
    for name, value in answer.items():
        if value:
            study.set_user_attr(name, value)


@dataclass(frozen=True)
class Plotly:
    """A figure of plotly, which need not be installed to make one."""

    content: Mapping[str, Any]

    def to_json(self) -> str:
        """Return it as the dashboard keeps it."""
        return json.dumps(self.content)


def plot(study: Study, name: str, content: Mapping[str, Any]) -> None:
    """Have optuna-dashboard show a figure of plotly with a study, in the place of one of this name."""
    from optuna_dashboard import save_plotly_graph_object

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_plotly_graph_object(study, Plotly(content), graph_object_id=name)


def known_study(storage: str, name: str) -> Study | None:
    """Return the newest study of a name, None where there is none; nothing is made."""
    if storage.startswith(SQLITE) and not Path(storage.removeprefix(SQLITE)).exists():
        return None
    place = storage_at(storage)
    number = newest_number(optuna.get_all_study_names(place), name)
    full_name = name if number == 1 else f"{name}-{number}"
    return optuna.load_study(storage=place, study_name=full_name) if number else None


def newest_number(names: list[str], name: str) -> int:
    """Return the number of the newest study of this name, 0 if there is none.

    >>> newest_number(["lstm", "lstm-2", "lstm-wide"], "lstm")
    2
    """
    found = [re.fullmatch(re.escape(name) + r"(?:-(\d+))?", each) for each in names]
    return max((int(match[1] or 1) for match in found if match), default=0)
