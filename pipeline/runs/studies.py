"""The studies of Optuna that commands open, with their names, and the trials that they run."""

import os

import optuna
from optuna import Study
from optuna.samplers import BaseSampler

from pipeline.base.errors import UserError
from pipeline.base.files import require_writable
from pipeline.data.held_out import HeldOut
from pipeline.learning.recorder import Watch
from pipeline.runs.trial import Trial
from pipeline.settings import Settings
from pipeline.settings.fingerprint import choice_fingerprint, fingerprint
from pipeline.study.opening import open_study

STORAGE = "OPTUNA_STORAGE"  # variable of the environment, and only there, for it may hold a password
DATABASES = ("postgresql+psycopg2://", "sqlite:///", "journal:")  # what it may be


def search_study(settings: Settings) -> Study:
    """Return the study of a search, opened or made."""
    sampler = settings.part("sampler", options=settings.search)
    return _opened(settings, search_name(settings), sampler, settings.search.fresh)


def search_name(settings: Settings) -> str:
    """Return the name of a search's study, which says of which settings and code."""
    return f"{settings.title}-{fingerprint(settings)}"


def tuning_study(settings: Settings, sampler: BaseSampler) -> Study:
    """Return the study of a tuning, opened or made."""
    return _opened(settings, tuning_name(settings), sampler, settings.tune.fresh)


def tuning_name(settings: Settings) -> str:
    """Return the name of a tuning's study, which says of which settings and code."""
    return f"tune-{settings.pair}-{choice_fingerprint(settings)}"


def storage(settings: Settings) -> str:
    """Return where studies are kept: $OPTUNA_STORAGE, or a file in the project.

    Raises `UserError` where that is no database, or its folder can't be written.
    """
    given = os.environ.get(STORAGE)
    if given and not given.startswith(DATABASES):
        rule = f"{STORAGE} must begin with {', '.join(DATABASES)}"
        raise UserError(f"{rule}; what it is is not shown, for it may hold a password")
    if given:
        return given
    folder = settings.state / ".state"
    require_writable(folder)
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'optuna.db'}"


def trial_of(settings: Settings, held_out: HeldOut, watch: Watch, remote: bool) -> Trial:
    """Return what runs the trials of a search, in this process or, if `remote`, in others.

    A remote one sends little: its sequences are read, or drawn again, where it runs. It shows no progress.
    """
    return Trial(settings, held_out, code=fingerprint(settings)) if remote else Trial(settings, held_out, watch)


def _opened(settings: Settings, name: str, sampler: BaseSampler, fresh: bool) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the display says what a trial gave
    return open_study(storage(settings), name, sampler, fresh)
